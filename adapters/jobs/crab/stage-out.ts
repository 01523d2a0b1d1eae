import { readFile } from 'node:fs/promises';
import { type ClientRequest, type IncomingMessage, request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CoPilotError } from '../../../protocol/errors.ts';
import { MOST_IN_MEMORY } from '../kit/bridge-call.ts';
import type { CredentialFiles } from '../kit/credential-files.ts';
import type { FrameworkHttp } from '../kit/framework-http.ts';
import type { ResultFile, ResultReader } from '../kit/result-reader.ts';
import { startCksum } from './cksum.ts';

/** Carries files of results to the temporary storage that CRAB's transfers begin at. */
export interface StageOut {
  /**
   * The file is whole below `lfn`, and the answer is its POSIX checksum. Doing it again writes the same bytes again. Where nothing is
   * put anywhere the file is only read. Rejects with `DIGEST_MISMATCH` where it is not what was committed.
   */
  put(file: ResultFile, lfn: string): Promise<string>;
}

export interface StageOutOptions {
  readonly results: ResultReader;
  /** Temporary storage; undefined where nothing is put anywhere. */
  readonly http: FrameworkHttp | undefined;
  /** Its address, without a slash at its end. */
  readonly url: string;
  readonly credential: CredentialFiles;
  readonly caFile?: string;
}

const SILENT_MS = 120_000;

export function createStageOut(options: StageOutOptions): StageOut {
  const { results, http, url } = options;
  return {
    async put(file, lfn) {
      const cksum = startCksum();
      if (file.size <= MOST_IN_MEMORY) {
        const bytes = await results.bytes(file, MOST_IN_MEMORY);
        cksum.update(bytes);
        if (http !== undefined)
          requireTaken((await http.send({ method: 'PUT', path: lfn, body: bytes })).status);
      } else {
        const seen = summed(await results.stream(file), (chunk) => cksum.update(chunk));
        if (http === undefined) await drained(seen);
        else await upload(options, `${url}${lfn}`, file.size, Readable.from(seen));
      }
      return cksum.value();
    },
  };
}

async function* summed(
  bytes: AsyncIterable<Uint8Array>,
  onBytes: (chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of bytes) {
      onBytes(chunk);
      yield chunk;
    }
  } catch (caught) {
    cut(caught);
  }
}

async function upload(
  { credential, caFile }: StageOutOptions,
  url: string,
  size: number,
  content: Readable,
): Promise<void> {
  const now = credential.current();
  const bearer = now.bearer();
  const isTls = url.startsWith('https:');
  const ca = caFile === undefined ? {} : { ca: await readFile(caFile, 'utf8') };
  const call = (isTls ? tlsRequest : plainRequest)(url, {
    method: 'PUT',
    timeout: SILENT_MS,
    headers: { 'content-length': size, ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }) },
    ...(isTls && { ...ca, ...now.tls() }),
  });
  const [answer] = await Promise.all([answerTo(call), pipeline(content, call)]).catch(cut);
  answer.resume();
  requireTaken(answer.statusCode ?? 500);
}

function requireTaken(status: number): void {
  if (status < 200 || status > 299)
    throw new CoPilotError('UNREACHABLE', `temporary storage answers ${status}`);
}

function answerTo(call: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    call.once('response', resolve);
    call.once('timeout', () => call.destroy(new Error('no answer in time')));
    call.once('error', reject);
  });
}

async function drained(bytes: AsyncIterable<Uint8Array>): Promise<void> {
  let last = 0;
  for await (const chunk of bytes) last = chunk.length;
  return void last;
}

function cut(cause: unknown): never {
  if (cause instanceof CoPilotError) throw cause;
  throw new CoPilotError('UNREACHABLE', 'a result could not be carried whole to temporary storage', {
    cause,
  });
}
