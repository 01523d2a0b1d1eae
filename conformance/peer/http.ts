import { type ClientRequest, type IncomingHttpHeaders, request } from 'node:http';
import { request as secureRequest } from 'node:https';
import { Failed } from '../expectation.ts';

/** One HTTP request exactly as it is to be sent, the path as it is written. */
export interface HttpAsk {
  readonly method: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string | number | readonly string[]>>;
  readonly body?: Uint8Array;
  /** The connection is cut so long after the body, which is not all that was promised, is out. */
  readonly breaksOffMs?: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Uint8Array;
}

const ANSWER_MS = 15_000;
const MAX_BODY_BYTES = 4 * 1024 * 1024;

/** Rejects with `Failed` where nothing answers; never follows a redirect. */
export function exchange(ask: HttpAsk, signal: AbortSignal): Promise<HttpAnswer> {
  const { protocol, hostname, port, origin } = new URL(ask.url);
  const open = protocol === 'https:' ? secureRequest : request;
  const headers = Object.fromEntries(
    Object.entries(ask.headers ?? {}).map(([name, value]) => [
      name,
      typeof value === 'object' ? [...value] : value,
    ]),
  );
  return new Promise((resolve, reject) => {
    const failed = (cause: Error): void =>
      reject(new Failed(`${ask.method} ${ask.url} was not answered: ${cause.message}`, { cause }));
    const outgoing = open(
      {
        hostname: hostname.replace(/^\[|\]$/g, ''),
        port,
        path: ask.url.slice(origin.length) || '/',
        method: ask.method,
        headers,
        agent: false,
        signal,
        timeout: ANSWER_MS,
      },
      (answer) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        answer.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
        });
        answer.once('error', failed);
        answer.once('end', () =>
          resolve({
            status: answer.statusCode ?? 0,
            headers: answer.headers,
            body: new Uint8Array(Buffer.concat(chunks)),
          }),
        );
      },
    );
    outgoing.once('timeout', () => outgoing.destroy(new Error('no answer in time')));
    outgoing.once('error', failed);
    if (ask.breaksOffMs !== undefined) breakOff(outgoing, ask.breaksOffMs, ask.body);
    else outgoing.end(ask.body);
  });
}

/** What was written is on its way before the connection is cut. */
function breakOff(outgoing: ClientRequest, afterMs: number, body: Uint8Array = new Uint8Array(0)): void {
  outgoing.write(body, () => void setTimeout(() => outgoing.destroy(new Error('cut on purpose')), afterMs));
}

export function getJson(answer: HttpAnswer): unknown {
  try {
    const value: unknown = JSON.parse(Buffer.from(answer.body).toString('utf8'));
    return value;
  } catch {
    return undefined; // no JSON: the caller says what it wanted
  }
}

/** The stable code of a refusal; empty where there is none. */
export function codeOf(answer: HttpAnswer): string {
  const header = answer.headers['error-code'];
  const body = getJson(answer);
  if (typeof body === 'object' && body !== null && 'code' in body && typeof body.code === 'string')
    return body.code;
  return typeof header === 'string' ? header : '';
}
