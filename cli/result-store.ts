import { createHash, type Hash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { dirname, join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CoPilotError } from '../protocol/errors.ts';
import type { File } from '../protocol/generated/types.ts';
import type { Upload } from './campaign/expand.ts';

/** The trusted side's view of the bridge: inputs go in before jobs are submitted, results come out. */
export interface ResultStore {
  /** Puts an input; one that is there already costs one request. */
  put(upload: Upload): Promise<void>;
  /**
   * Writes one file of a result below `directory`, checked against its digest before it gets its name. A file that is there with the
   * right digest is kept; one that was cut short goes on where it stopped.
   */
  fetch(
    result: { readonly job: string; readonly attempt: number },
    file: File,
    directory: string,
    onBytes?: OnBytes,
  ): Promise<string>;
}

/** `kept` bytes were there already. */
export type OnBytes = (bytes: number, how: 'moved' | 'kept') => void;

const ANSWER_MS = 60_000;
const MAX_ERROR_BYTES = 64 * 1024;

export function createResultStore(bridge: {
  readonly url: string;
  readonly operatorToken: string;
}): ResultStore {
  const authorization = `Bearer ${bridge.operatorToken}`;

  async function call(
    method: string,
    path: string,
    headers: object,
    body: Readable | undefined,
  ): Promise<IncomingMessage> {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const call = request(`${bridge.url}${path}`, {
        method,
        headers: { authorization, ...headers },
        timeout: ANSWER_MS,
      });
      call.once('response', resolve);
      call.once('timeout', () => call.destroy(new CoPilotError('TIMEOUT', 'the bridge does not answer')));
      call.once('error', reject);
      if (body === undefined) call.end();
      else pipeline(body, call).catch(reject);
    }).catch(unreachable);
    if ((answer.statusCode ?? 500) < 300) return answer;
    throw new CoPilotError('UNREACHABLE', `the bridge refused ${method} ${path}: ${await errorText(answer)}`);
  }

  return {
    async put(upload) {
      const body =
        upload.kind === 'file' ? createReadStream(upload.path) : Readable.from([Buffer.from(upload.content)]);
      const answer = await call(
        'PUT',
        `/v1/inputs/${upload.sha256}`,
        { 'content-length': upload.size },
        body,
      );
      answer.resume();
    },
    async fetch({ job, attempt }, file, directory, onBytes = () => undefined) {
      const target = join(directory, ...file.name.split('/'));
      const there = await digestOf(target);
      if (there?.size === file.size && there.hash.digest('hex') === file.sha256) {
        onBytes(file.size, 'kept');
        return target;
      }
      await mkdir(dirname(target), { recursive: true });
      const part = `${target}.part`;
      const begun = await digestOf(part);
      const from = begun !== undefined && begun.size < file.size ? begun.size : 0;
      const range = from > 0 ? { range: `bytes=${from}-` } : {};
      const answer = await call('GET', `/v1/results/${job}/${attempt}/${file.name}`, range, undefined);
      const goesOn = from > 0 && answer.statusCode === 206;
      if (goesOn) onBytes(from, 'kept');
      const hash = goesOn && begun !== undefined ? begun.hash : createHash('sha256');
      const counted = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          hash.update(chunk);
          onBytes(chunk.length, 'moved');
          done(null, chunk);
        },
      });
      await pipeline(answer, counted, createWriteStream(part, { flags: goesOn ? 'a' : 'w' }));
      if (hash.digest('hex') !== file.sha256) {
        await rm(part, { force: true });
        throw new CoPilotError('DIGEST_MISMATCH', `${file.name} of job ${job} is not what was committed`);
      }
      await rename(part, target);
      return target;
    },
  };
}

/** What a file holds by now; undefined where there is none. */
async function digestOf(path: string): Promise<{ readonly size: number; readonly hash: Hash } | undefined> {
  const hash = createHash('sha256');
  let size = 0;
  try {
    for await (const chunk of createReadStream(path)) {
      if (!Buffer.isBuffer(chunk)) continue;
      hash.update(chunk);
      size += chunk.length;
    }
    return { size, hash };
  } catch (caught) {
    if (caught instanceof Error && 'code' in caught && caught.code === 'ENOENT') return undefined;
    throw caught;
  }
}

function unreachable(cause: unknown): never {
  if (cause instanceof CoPilotError) throw cause;
  throw new CoPilotError('UNREACHABLE', 'the bridge does not answer; is `co-pilot up` running?', { cause });
}

async function errorText(answer: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of answer) if (text.length < MAX_ERROR_BYTES) text += String(chunk);
  return text;
}
