import { createHash } from 'node:crypto';
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
  /** Writes one file of a result below `directory`, checked against its digest before it gets its name. */
  fetch(
    result: { readonly job: string; readonly attempt: number },
    file: File,
    directory: string,
  ): Promise<string>;
}

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
    async fetch({ job, attempt }, file, directory) {
      const target = join(directory, ...file.name.split('/'));
      await mkdir(dirname(target), { recursive: true });
      const answer = await call('GET', `/v1/results/${job}/${attempt}/${file.name}`, {}, undefined);
      const hash = createHash('sha256');
      const counted = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          hash.update(chunk);
          done(null, chunk);
        },
      });
      await pipeline(answer, counted, createWriteStream(`${target}.part`));
      if (hash.digest('hex') !== file.sha256) {
        await rm(`${target}.part`, { force: true });
        throw new CoPilotError('DIGEST_MISMATCH', `${file.name} of job ${job} is not what was committed`);
      }
      await rename(`${target}.part`, target);
      return target;
    },
  };
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
