import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { request as plainRequest, type IncomingMessage } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { Piece } from './piece.ts';

/** Moves the bytes of one file between this host and a storage, by the envelope that JAliEn gave for it. Bytes pass this host. */
export interface FileTransfer {
  get(url: string, envelope: string, path: string): Promise<void>;
  /** Never replaces what is there: the storage takes a file once. */
  put(content: Piece, url: string, envelope: string): Promise<void>;
}

export interface FileTransferOptions {
  /** The program for `root://`. */
  readonly xrdcp: string;
  readonly timeoutMs: number;
  /** For what `xrdcp` is to read. */
  readonly directory: string;
}

const MOST_ERROR_CHARACTERS = 2000;

/** `root://` by xrdcp, `http(s)://` by requests. Rejects with `UNREACHABLE`, `NOT_FOUND`, or `UNSUPPORTED` for other addresses. */
export function createFileTransfer({ xrdcp, timeoutMs, directory }: FileTransferOptions): FileTransfer {
  return {
    async get(url, envelope, path) {
      if (isRoot(url)) return runXrdcp(xrdcp, [withEnvelope(url, envelope), path], timeoutMs);
      const answer = await ask(url, envelope, { method: 'GET', timeoutMs });
      if (answer.statusCode === 200) return pipeline(answer, createWriteStream(path, { mode: 0o600 }));
      answer.resume();
      throw refusal(answer.statusCode ?? 0);
    },
    async put(content, url, envelope) {
      if (isRoot(url)) {
        await spooled(directory, content, (path) =>
          runXrdcp(xrdcp, [path, withEnvelope(url, envelope)], timeoutMs),
        );
        return;
      }
      const answer = await ask(url, envelope, { method: 'PUT', timeoutMs, content });
      answer.resume();
      if ((answer.statusCode ?? 500) >= 300) throw refusal(answer.statusCode ?? 0);
    },
  };
}

function isRoot(url: string): boolean {
  return /^x?roots?:\/\/[!-~]+$/.test(url);
}

/** The envelope is opaque data of the address; nothing in it is decoded on the way. */
function withEnvelope(url: string, envelope: string): string {
  if (!/^[!-~\n]*$/.test(envelope))
    throw new CoPilotError('UNSUPPORTED', 'an envelope of JAliEn has characters that no address has');
  return `${url}${url.includes('?') ? '&' : '?'}authz=${envelope}`;
}

async function spooled(
  directory: string,
  content: Piece,
  act: (path: string) => Promise<void>,
): Promise<void> {
  const path = join(directory, randomUUID());
  try {
    await writeFile(path, content.chunks(), { mode: 0o600, flag: 'wx' });
    await act(path);
  } finally {
    await rm(path, { force: true });
  }
}

async function runXrdcp(program: string, paths: readonly string[], timeoutMs: number): Promise<void> {
  const child = spawn(program, ['--nopbar', '--silent', ...paths], {
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    if (said.length < MOST_ERROR_CHARACTERS) said += chunk.toString('latin1');
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', (cause) =>
      reject(
        new CoPilotError('UNREACHABLE', `${program} cannot be run: is xrootd-client installed?`, { cause }),
      ),
    );
    child.once('close', resolve);
  });
  if (code === 0) return;
  // What it says may name the address with its envelope: the number alone goes on.
  throw new CoPilotError(
    /no such file/i.test(said) ? 'NOT_FOUND' : 'UNREACHABLE',
    `xrdcp ended with ${code ?? 'a signal'}`,
  );
}

interface Asked {
  readonly method: 'GET' | 'PUT';
  readonly timeoutMs: number;
  readonly content?: Piece;
}

function ask(url: string, envelope: string, { method, timeoutMs, content }: Asked): Promise<IncomingMessage> {
  if (!/^https?:\/\/[!-~]+$/.test(url))
    throw new CoPilotError('UNSUPPORTED', 'a storage has an address of another kind');
  const address = new URL(url);
  address.searchParams.set('authz', envelope);
  const request = address.protocol === 'https:' ? tlsRequest : plainRequest;
  return new Promise((resolve, reject) => {
    const call = request(address, {
      method,
      signal: AbortSignal.timeout(timeoutMs),
      headers: content === undefined ? {} : { 'content-length': content.size },
    });
    call.once('response', resolve);
    call.once('error', (cause) =>
      reject(new CoPilotError('UNREACHABLE', 'a storage cannot be reached', { cause })),
    );
    if (content === undefined) call.end();
    else pipeline(content.chunks(), call).catch(reject);
  });
}

function refusal(status: number): CoPilotError {
  return new CoPilotError(status === 404 ? 'NOT_FOUND' : 'UNREACHABLE', `a storage answers with ${status}`);
}
