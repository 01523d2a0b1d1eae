import { createReadStream, createWriteStream } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { type IncomingMessage, request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { InputStore, StoredInput } from '../kit/input-store.ts';
import type { CrabRest } from './crab-rest.ts';
import type { CrabTask } from './crab-task.ts';
import { checkSandbox } from './sandbox-check.ts';

/** Brings sandboxes of users into the Data Bridge, where agents get them under capabilities. */
export interface Sandboxes {
  /** Rejects with `INVALID_REQUEST` for a sandbox that nobody should unpack, with other codes where another try may do. */
  bring(task: CrabTask): Promise<StoredInput>;
}

export interface SandboxOptions {
  readonly rest: CrabRest;
  readonly inputs: InputStore;
  /** For the file while it is looked at. */
  readonly directory: string;
  /** Of the server: its scheme and host may always be fetched from. */
  readonly url: string;
  readonly hosts: readonly string[];
  /** In PEM. */
  readonly caFile?: string;
  readonly maxBytes?: number;
}

/** As CRAB bounds sandboxes. */
const MAX_BYTES = 120 * 1024 * 1024;
const SILENT_MS = 60_000;
/** CRAB's bucket. */
const BUCKET_HOST = 's3.cern.ch';

/**
 * The server signs an address, the file comes from there without any credential of ours. One at a time: a sandbox may take the whole
 * of its bound on disk.
 */
export function createSandboxes(options: SandboxOptions): Sandboxes {
  const { rest, inputs, directory, maxBytes = MAX_BYTES } = options;
  let last: Promise<unknown> = Promise.resolve();

  async function bring(task: CrabTask): Promise<StoredInput> {
    const [address] = await rest.get('cache', {
      subresource: 'download',
      objecttype: 'sandbox',
      username: task.user,
      tarballname: task.sandbox,
    });
    const url = checkedAddress(address, options);
    const path = join(directory, 'sandbox.part');
    try {
      await save(url, path, maxBytes, options.caFile);
      await checkSandbox(createReadStream(path));
      return await inputs.put({ kind: 'file', path });
    } finally {
      await rm(path, { force: true });
    }
  }

  return {
    bring(task) {
      const turn = last.then(
        () => bring(task),
        () => bring(task),
      );
      last = turn.catch(() => undefined);
      return turn;
    },
  };
}

/** A server that was taken over names no host of the site's own network. */
function checkedAddress(address: unknown, { url, hosts }: SandboxOptions): URL {
  const own = new URL(url);
  const found = typeof address === 'string' ? URL.parse(address) : null;
  const isKnown =
    found !== null && (found.host === own.host || [BUCKET_HOST, ...hosts].includes(found.hostname));
  if (!isKnown || found.protocol !== own.protocol || found.username !== '' || found.password !== '')
    throw new CoPilotError(
      'UNREACHABLE',
      'the CRAB server names an address for the sandbox that is none of its own',
    );
  return found;
}

async function save(url: URL, path: string, maxBytes: number, caFile: string | undefined): Promise<void> {
  const ca = caFile === undefined ? {} : { ca: await readFile(caFile, 'utf8') };
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const call = (url.protocol === 'https:' ? tlsRequest : plainRequest)(url, { ...ca, timeout: SILENT_MS });
    call.once('response', resolve);
    call.once('timeout', () => call.destroy(new Error('no answer in time')));
    call.once('error', reject);
    call.end();
  }).catch(unreachable);
  const status = answer.statusCode ?? 500;
  if (status !== 200) {
    answer.resume();
    if (status === 404) throw new CoPilotError('INVALID_REQUEST', 'the sandbox is not in the cache');
    throw new CoPilotError('UNREACHABLE', `the sandbox is answered with ${status}`);
  }
  let bytes = 0;
  const counted = new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      bytes += chunk.length;
      if (bytes <= maxBytes) done(null, chunk);
      else done(new CoPilotError('INVALID_REQUEST', `the sandbox is larger than ${maxBytes} bytes`));
    },
  });
  await pipeline(answer, counted, createWriteStream(path, { mode: 0o600 })).catch(unreachable);
}

function unreachable(cause: unknown): never {
  if (cause instanceof CoPilotError) throw cause;
  throw new CoPilotError('UNREACHABLE', 'the sandbox could not be fetched whole', { cause });
}
