import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type ClientRequest, type IncomingMessage, request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { BridgeAccess } from '../kit/bridge-access.ts';
import { callBridge } from '../kit/bridge-call.ts';
import type { CredentialFiles } from '../kit/credential-files.ts';
import { startCksum } from './cksum.ts';

/** A file of a committed result. */
export interface ResultPart {
  readonly job: string;
  readonly attempt: number;
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
}

/** Carries files of results to the temporary storage that CRAB's transfers begin at. */
export interface StageOut {
  /**
   * The file is whole below `lfn`, and the answer is its POSIX checksum. Doing it again writes the same bytes again. Where nothing is
   * put anywhere the file is only read. Rejects with `DIGEST_MISMATCH` where it is not what was committed.
   */
  put(part: ResultPart, lfn: string): Promise<string>;
}

export interface StageOutOptions {
  readonly bridge: BridgeAccess;
  /** Without a slash at its end; empty where nothing is put anywhere. */
  readonly url: string;
  readonly credential: CredentialFiles;
  readonly caFile?: string;
}

const SILENT_MS = 120_000;

export function createStageOut(options: StageOutOptions): StageOut {
  const { bridge, url } = options;
  return {
    async put(part, lfn) {
      const path = `/v1/results/${part.job}/${part.attempt}/${part.name}`;
      const answer = await callBridge(bridge, { method: 'GET', path });
      if (answer.statusCode !== 200) {
        answer.resume();
        throw unreachable(`the Data Bridge answers ${answer.statusCode ?? 0} for ${part.name}`);
      }
      const cksum = startCksum();
      const checked = checkedStream(part, (bytes) => cksum.update(bytes));
      if (url === '') await pipeline(answer, checked, drained).catch(cut);
      else await upload(options, `${url}${lfn}`, part.size, [answer, checked]);
      return cksum.value();
    },
  };
}

async function upload(
  { credential, caFile }: StageOutOptions,
  url: string,
  size: number,
  [from, checked]: readonly [IncomingMessage, Transform],
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
  const answered = answerTo(call);
  const sent = pipeline(from, checked, call);
  const [answer] = await Promise.all([answered, sent]).catch(cut);
  answer.resume();
  const status = answer.statusCode ?? 500;
  if (status < 200 || status > 299) throw unreachable(`temporary storage answers ${status}`);
}

function answerTo(call: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    call.once('response', resolve);
    call.once('timeout', () => call.destroy(new Error('no answer in time')));
    call.once('error', reject);
  });
}

/** The last byte passes only where all of them were right. */
function checkedStream({ name, size, sha256 }: ResultPart, onBytes: (bytes: Uint8Array) => void): Transform {
  const hash = createHash('sha256');
  let seen = 0;
  let held: Uint8Array | undefined;
  const wrong = (): CoPilotError => new CoPilotError('DIGEST_MISMATCH', `${name} is not what was committed`);
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      seen += chunk.length;
      if (seen > size) {
        done(wrong());
        return;
      }
      hash.update(chunk);
      onBytes(chunk);
      if (held !== undefined) this.push(held);
      held = chunk;
      done();
    },
    flush(done) {
      const isRight = seen === size && hash.digest('hex') === sha256;
      if (isRight && held !== undefined) this.push(held);
      done(isRight ? null : wrong());
    },
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

function unreachable(message: string): CoPilotError {
  return new CoPilotError('UNREACHABLE', message);
}
