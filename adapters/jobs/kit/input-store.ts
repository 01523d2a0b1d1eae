import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { BridgeAccess } from './bridge-access.ts';
import { askBridge, callBridge } from './bridge-call.ts';

/** What becomes an input of jobs. */
export type InputContent =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'file'; readonly path: string };

/** As a job's description names it. */
export interface StoredInput {
  readonly size: number;
  readonly sha256: string;
}

/** Where inputs go before the jobs that name them: the Data Bridge. */
export interface InputStore {
  /**
   * Resolves once the content is there under its digest; content that is there already costs one request. Rejects with
   * `UNREACHABLE`, or `DIGEST_MISMATCH` where a file changed meanwhile.
   */
  put(content: InputContent): Promise<StoredInput>;
}

const MAX_ANSWER_BYTES = 64 * 1024;

export function createInputStore(bridge: BridgeAccess): InputStore {
  return {
    async put(content) {
      const stored = await measured(content);
      await putInput(
        bridge,
        stored,
        content.kind === 'file' ? createReadStream(content.path) : content.bytes,
      );
      return stored;
    },
  };
}

/** Resolves once the bytes are there under their digest. Rejects with `DIGEST_MISMATCH` where they have another, or `UNREACHABLE`. */
export async function putInput(
  bridge: BridgeAccess,
  input: StoredInput,
  body: Readable | Uint8Array,
): Promise<void> {
  const status = await (body instanceof Uint8Array
    ? putBytes(bridge, input, body)
    : putStream(bridge, input, body));
  if (status < 300) return;
  // What the bridge says is about its own request, not about the caller's: its code is enough to know.
  if (status === 400) throw new CoPilotError('DIGEST_MISMATCH', 'the bytes are not what the digest names');
  throw new CoPilotError('UNREACHABLE', `the Data Bridge refused the input with ${status}`);
}

async function putBytes(bridge: BridgeAccess, { sha256 }: StoredInput, body: Uint8Array): Promise<number> {
  const request = { method: 'PUT', path: `/v1/inputs/${sha256}`, body } as const;
  return (await askBridge(bridge, request, MAX_ANSWER_BYTES)).status;
}

async function putStream(
  bridge: BridgeAccess,
  { size, sha256 }: StoredInput,
  body: Readable,
): Promise<number> {
  const headers = { 'content-length': size };
  const answer = await callBridge(bridge, { method: 'PUT', path: `/v1/inputs/${sha256}`, headers, body });
  answer.resume();
  return answer.statusCode ?? 500;
}

async function measured(content: InputContent): Promise<StoredInput> {
  const hash = createHash('sha256');
  let size = 0;
  const chunks: AsyncIterable<Uint8Array> | readonly Uint8Array[] =
    content.kind === 'file' ? createReadStream(content.path) : [content.bytes];
  for await (const chunk of chunks) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { size, sha256: hash.digest('hex') };
}
