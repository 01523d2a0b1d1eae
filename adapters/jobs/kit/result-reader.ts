import { createHash, hash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { BridgeAccess } from './bridge-access.ts';
import { askBridge, callBridge } from './bridge-call.ts';

/** Which file of which committed result; size and digest are those of the manifest. */
export interface ResultFile {
  readonly job: string;
  readonly attempt: number;
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
}

/** Reads files of committed results from the Data Bridge; every byte is held against the digest of the manifest. */
export interface ResultReader {
  /** Rejects with `QUOTA_EXCEEDED` where the file is larger, `DIGEST_MISMATCH`, `NOT_FOUND`, or `UNREACHABLE`. */
  bytes(file: ResultFile, maxBytes: number): Promise<Uint8Array>;
  /** Its bytes as they come; the last of them only where all were right. Rejects as `bytes`, and the stream ends with such an error. */
  stream(file: ResultFile): Promise<Readable>;
  /** The file has its name at `path` once it is whole and right; otherwise nothing is there. Rejects as `bytes`. */
  save(file: ResultFile, path: string): Promise<void>;
}

export function createResultReader(bridge: BridgeAccess): ResultReader {
  const open = async (file: ResultFile): Promise<IncomingMessage> => {
    const answer = await callBridge(bridge, { method: 'GET', path: pathOf(file) });
    const { statusCode: status = 500 } = answer;
    if (status !== 200) answer.resume();
    requireGiven(file, status);
    return answer;
  };
  return {
    async bytes(file, maxBytes) {
      if (file.size > maxBytes)
        throw new CoPilotError('QUOTA_EXCEEDED', `${file.name} of job ${file.job} is over ${maxBytes} bytes`);
      const { status, body } = await askBridge(bridge, { method: 'GET', path: pathOf(file) }, maxBytes);
      requireGiven(file, status);
      if (body.length !== file.size || hash('sha256', body) !== file.sha256) throw wrong(file);
      return body;
    },
    stream: async (file) => compose(await open(file), checked(file)),
    async save(file, path) {
      const part = `${path}.part`;
      try {
        await pipeline(await open(file), checked(file), createWriteStream(part, { mode: 0o600 })).catch(cut);
        await rename(part, path);
      } catch (caught) {
        await rm(part, { force: true });
        throw caught;
      }
    },
  };
}

function pathOf({ job, attempt, name }: ResultFile): string {
  return `/v1/results/${job}/${attempt}/${name.split('/').map(encodeURIComponent).join('/')}`;
}

function requireGiven({ job, name }: ResultFile, status: number): void {
  if (status === 200) return;
  if (status === 404) throw new CoPilotError('NOT_FOUND', `the Data Bridge has no ${name} of job ${job}`);
  throw new CoPilotError('UNREACHABLE', `the Data Bridge refused ${name} of job ${job} with ${status}`);
}

/** Passes at most the size that the manifest names, and its last chunk only where the digest is the manifest's. */
function checked(file: ResultFile): Transform {
  const digest = createHash('sha256');
  let left = file.size;
  let held: Buffer | undefined;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      digest.update(chunk);
      left -= chunk.length;
      if (left < 0) {
        done(wrong(file));
        return;
      }
      if (held !== undefined) this.push(held);
      held = chunk;
      done();
    },
    flush(done) {
      const isRight = left === 0 && digest.digest('hex') === file.sha256;
      if (isRight && held !== undefined) this.push(held);
      done(isRight ? null : wrong(file));
    },
  });
}

/** `through` ends as `from` does, its errors included. */
function compose(from: Readable, through: Transform): Readable {
  pipeline(from, through).catch(() => undefined); // the reader of `through` hears of it
  return through;
}

function wrong({ job, name }: ResultFile): CoPilotError {
  return new CoPilotError('DIGEST_MISMATCH', `${name} of job ${job} is not what was committed`);
}

function cut(caught: unknown): never {
  if (caught instanceof CoPilotError) throw caught;
  throw new CoPilotError('UNREACHABLE', 'a result could not be read whole from the Data Bridge', {
    cause: caught,
  });
}
