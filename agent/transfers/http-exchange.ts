import { request as plainRequest } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { request as tlsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { CoPilotError } from '../../protocol/errors.ts';
import { isStorageCode } from '../../protocol/storage-codes.ts';
import type { StorageCode } from '../../protocol/storage-codes.ts';
import type { Clock } from '../../protocol/runtime/runtime.ts';

export interface Outgoing {
  readonly method: 'HEAD' | 'GET' | 'PUT' | 'PATCH';
  readonly url: string;
  readonly headers: Readonly<Record<string, string | number>>;
  readonly body?: Readable;
}

/** An answer whose body is still to be read. */
export interface Incoming {
  readonly status: number;
  header(name: string): string | undefined;
  readonly body: IncomingMessage;
  /** Ends the connection, with what was still being sent. */
  cut(): void;
}

export interface ExchangeOptions {
  readonly clock: Clock;
  /** A connection on which nothing moves for so long is given up. */
  readonly idleMs: number;
  readonly signal: AbortSignal;
}

/** What a refusal says. */
export interface Refusal {
  readonly code: StorageCode;
  readonly message: string;
}

const MAX_REFUSAL_BYTES = 4096;
const MAX_HEADER_BYTES = 16 * 1024;

/**
 * One request and the head of its answer; redirects are not followed. Rejects with `UNREACHABLE` where the other side goes
 * away or stays silent, with the body's own error, or with the signal's reason.
 */
export function exchange(outgoing: Outgoing, options: ExchangeOptions): Promise<Incoming> {
  const { signal } = options;
  if (signal.aborted) return Promise.reject(reasonOf(signal));
  return new Promise((resolve, reject) => {
    const request = open(outgoing);
    request.setTimeout(options.idleMs, () => request.destroy(unreachable('nothing moves')));
    const onAbort = (): void => void request.destroy(reasonOf(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    request.on('close', () => {
      signal.removeEventListener('abort', onAbort);
      outgoing.body?.destroy();
    });
    request.on('error', (error) =>
      reject(
        error instanceof CoPilotError || signal.aborted ? error : unreachable('the connection failed', error),
      ),
    );
    request.on('response', (answer) => {
      answer.on('error', () => undefined); // whoever reads the body hears of it there
      resolve({
        status: answer.statusCode ?? 0,
        header: (name) => headerOf(answer, name),
        body: answer,
        cut: () => void request.destroy(),
      });
    });
    send(request, outgoing.body);
  });
}

/** Reads a refusal's code: from a bounded JSON body, or from the header where there is none (HEAD). */
export async function readRefusal(incoming: Incoming): Promise<Refusal> {
  const text = await readBounded(incoming.body);
  const { code, message } = refusalIn(text);
  const stated = code ?? incoming.header('error-code') ?? '';
  return {
    code: isStorageCode(stated) ? stated : codeOfStatus(incoming.status),
    message: message ?? `storage answered ${incoming.status}`,
  };
}

/** Lets go of an answer whose body says nothing. */
export function finish(incoming: Incoming): void {
  incoming.body.resume();
}

function open(outgoing: Outgoing): ClientRequest {
  const url = new URL(outgoing.url);
  const request = url.protocol === 'https:' ? tlsRequest : plainRequest;
  return request(url, {
    method: outgoing.method,
    headers: outgoing.headers,
    maxHeaderSize: MAX_HEADER_BYTES,
  });
}

function send(request: ClientRequest, body: Readable | undefined): void {
  if (body === undefined) {
    request.end();
    return;
  }
  body.on('error', (error) => request.destroy(error));
  body.pipe(request);
}

async function readBounded(body: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const bytes: AsyncIterable<Uint8Array> = body;
  try {
    for await (const chunk of bytes) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > MAX_REFUSAL_BYTES) break;
    }
  } catch {
    // The status is enough where the explanation did not arrive.
  }
  return Buffer.concat(chunks).subarray(0, MAX_REFUSAL_BYTES).toString('utf8');
}

function refusalIn(text: string): { readonly code?: string; readonly message?: string } {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return {};
    const code = 'code' in value && typeof value.code === 'string' ? { code: value.code } : {};
    const message = 'message' in value && typeof value.message === 'string' ? { message: value.message } : {};
    return { ...code, ...message };
  } catch {
    return {}; // a proxy's page, not storage's answer
  }
}

/** For answers that storage itself did not write. */
function codeOfStatus(status: number): StorageCode {
  if (status >= 500 || status === 429 || status === 408) return 'UNREACHABLE';
  if (status === 404) return 'NOT_FOUND';
  return status === 401 || status === 403 ? 'NOT_AUTHORIZED' : 'MALFORMED_REQUEST';
}

function headerOf(answer: IncomingMessage, name: string): string | undefined {
  const value = answer.headers[name];
  return typeof value === 'string' ? value : undefined;
}

function unreachable(message: string, cause?: unknown): CoPilotError {
  return new CoPilotError('UNREACHABLE', `storage cannot be reached: ${message}`, { cause });
}

export function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error
    ? signal.reason
    : new CoPilotError('TIMEOUT', 'the transfer was given up');
}
