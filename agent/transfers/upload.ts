import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { digestField } from '../../protocol/digest-field.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import type { Capability } from '../../protocol/generated/types.ts';
import type { Ask } from './bearer.ts';
import { readSpan } from './file-bytes.ts';
import { finish } from './http-exchange.ts';
import type { Incoming } from './http-exchange.ts';
import type { TransferParts } from './transfer-parts.ts';
import { persist } from './patience.ts';
import type { FileFacts, OnProgress } from './transfers.ts';

export interface Upload {
  readonly path: string;
  readonly capability: Capability;
  readonly facts: FileFacts;
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress | undefined;
}

/** Small files whole, larger ones piece by piece from where storage says it has them. */
export async function upload(parts: TransferParts, job: Upload): Promise<void> {
  const file = await open(job.path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const { size } = await file.stat();
    if (size !== job.facts.size)
      throw new CoPilotError('DIGEST_MISMATCH', 'the file is no longer what was reported');
    const isSmall = size <= parts.tuning.chunkBytes;
    const step = isSmall ? () => sendWhole(parts, job, file) : sendPieces(parts, job, file);
    await persist(step, parts.patience, job.signal);
  } finally {
    await file.close();
  }
}

async function sendWhole(parts: TransferParts, job: Upload, file: FileHandle): Promise<'done'> {
  // Without a nonce the first request is refused whatever it carries, so it carries nothing.
  if (!parts.bearer.knows(job.capability) && (await storedBytes(parts, job)) === job.facts.size)
    return 'done';
  await send(parts, job, 'PUT', file, { start: 0, end: job.facts.size });
  job.onProgress?.(job.facts.size);
  return 'done';
}

/** After a failure storage is asked again how far it is: what an answer said that never came is not known here. */
function sendPieces(parts: TransferParts, job: Upload, file: FileHandle): () => Promise<'done' | 'on'> {
  let offset: number | undefined;
  return async () => {
    const from = offset ?? (await storedBytes(parts, job)) ?? 0;
    offset = undefined;
    if (from === job.facts.size) return 'done';
    const end = Math.min(from + parts.tuning.chunkBytes, job.facts.size);
    await send(parts, job, 'PATCH', file, { start: from, end });
    offset = end;
    job.onProgress?.(end);
    return end === job.facts.size ? 'done' : 'on';
  };
}

/** Undefined where storage knows nothing of the file, which is not the same as none of its bytes. */
async function storedBytes(parts: TransferParts, job: Upload): Promise<number | undefined> {
  try {
    const incoming = await ask(parts, job, { method: 'HEAD', headers: {} });
    const offset = Number(incoming.header('upload-offset'));
    return Number.isSafeInteger(offset) && offset >= 0 && offset <= job.facts.size ? offset : 0;
  } catch (error) {
    if (error instanceof CoPilotError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}

interface Span {
  readonly start: number;
  readonly end: number;
}

async function send(
  parts: TransferParts,
  job: Upload,
  method: 'PUT' | 'PATCH',
  file: FileHandle,
  span: Span,
): Promise<void> {
  const { size, sha256 } = job.facts;
  await ask(parts, job, {
    method,
    headers: {
      'Content-Length': span.end - span.start,
      'Content-Type': 'application/offset+octet-stream',
      'Repr-Digest': digestField(sha256),
      'Upload-Length': size,
      ...(method === 'PATCH' ? { 'Upload-Offset': span.start } : {}),
    },
    ...(span.end > span.start ? { body: () => bytesOf(file, span) } : {}),
  });
}

async function ask(parts: TransferParts, job: Upload, what: Ask): Promise<Incoming> {
  const { clock, tuning } = parts;
  const limits = { clock, idleMs: tuning.idleMs, signal: job.signal };
  const incoming = await parts.bearer.ask(job.capability, what, limits);
  finish(incoming);
  return incoming;
}

function bytesOf(file: FileHandle, span: Span): Readable {
  return Readable.from(readSpan(file, span.start, span.end));
}
