import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { open, rename, rm } from 'node:fs/promises';
import { CoPilotError } from '../../protocol/errors.ts';
import type { Capability } from '../../protocol/generated/types.ts';
import { readSpan, writeAll } from './file-bytes.ts';
import { reasonOf } from './http-exchange.ts';
import type { Incoming } from './http-exchange.ts';
import type { TransferParts } from './transfer-parts.ts';
import { persist } from './patience.ts';
import type { FileFacts, OnProgress } from './transfers.ts';

export interface Download {
  readonly target: string;
  readonly capability: Capability;
  readonly facts: FileFacts;
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress | undefined;
}

/** Bytes so far, beside the digest over them. */
interface Arrival {
  readonly file: FileHandle;
  hash: Hash;
  offset: number;
}

const FILE_MODE = 0o600;

/** Into a file beside the target, which takes the target's name once it is whole and checked. */
export async function download(parts: TransferParts, job: Download): Promise<void> {
  const temporary = `${job.target}.part`;
  const { O_CREAT, O_RDWR, O_NOFOLLOW } = constants;
  const file = await open(temporary, O_CREAT | O_RDWR | O_NOFOLLOW, FILE_MODE);
  try {
    const arrival = await resume(file, job.facts.size);
    const isResumed = arrival.offset > 0;
    await fetchAll(parts, job, arrival);
    // What an earlier call left may have been of another file by that name.
    if (isResumed && !isRight(arrival, job.facts)) {
      await startOver(arrival);
      await fetchAll(parts, job, arrival);
    }
    if (!isRight(arrival, job.facts)) {
      await rm(temporary);
      throw new CoPilotError('DIGEST_MISMATCH', 'storage serves other bytes than the job names');
    }
    await file.sync();
    await rename(temporary, job.target);
  } finally {
    await file.close();
  }
}

/** What an earlier call left, where it is no longer than the file may be. */
async function resume(file: FileHandle, size: number): Promise<Arrival> {
  const hash = createHash('sha256');
  const there = (await file.stat()).size;
  if (there > size) {
    await file.truncate(0);
    return { file, hash, offset: 0 };
  }
  let offset = 0;
  for await (const chunk of readSpan(file, 0, there)) {
    hash.update(chunk);
    offset += chunk.length;
  }
  return { file, hash, offset };
}

function fetchAll(parts: TransferParts, job: Download, arrival: Arrival): Promise<void> {
  return persist(() => fetchRest(parts, job, arrival), parts.patience, job.signal);
}

function isRight(arrival: Arrival, facts: FileFacts): boolean {
  return arrival.offset === facts.size && arrival.hash.copy().digest('hex') === facts.sha256;
}

async function startOver(arrival: Arrival): Promise<void> {
  await arrival.file.truncate(0);
  arrival.hash = createHash('sha256');
  arrival.offset = 0;
}

async function fetchRest(parts: TransferParts, job: Download, arrival: Arrival): Promise<'done' | 'on'> {
  if (arrival.offset === job.facts.size) return 'done';
  const { clock, tuning } = parts;
  const headers = arrival.offset === 0 ? {} : { Range: `bytes=${arrival.offset}-` };
  const incoming = await parts.bearer.ask(
    job.capability,
    { method: 'GET', headers },
    { clock, idleMs: tuning.idleMs, signal: job.signal },
  );
  await startOverUnlessPartial(incoming, arrival);
  const before = arrival.offset;
  try {
    await take(incoming, job, arrival);
  } catch (error) {
    if (job.signal.aborted) throw reasonOf(job.signal);
    if (error instanceof CoPilotError) throw error;
    if (arrival.offset === before)
      throw new CoPilotError('UNREACHABLE', 'the download broke', { cause: error });
  }
  if (arrival.offset === before) throw new CoPilotError('UNREACHABLE', 'storage sent nothing');
  return 'on';
}

/** Storage may answer with the whole file, or with another part than asked for: then nothing so far counts. */
async function startOverUnlessPartial(incoming: Incoming, arrival: Arrival): Promise<void> {
  const goesOn =
    incoming.status === 206 && incoming.header('content-range')?.startsWith(`bytes ${arrival.offset}-`);
  if (goesOn === true || arrival.offset === 0) return;
  if (incoming.status === 206) {
    incoming.body.destroy();
    throw new CoPilotError('UNREACHABLE', 'storage sent another part of the file');
  }
  await startOver(arrival);
}

async function take(incoming: Incoming, job: Download, arrival: Arrival): Promise<void> {
  const bytes: AsyncIterable<Uint8Array> = incoming.body;
  for await (const chunk of bytes) {
    if (arrival.offset + chunk.length > job.facts.size)
      throw new CoPilotError('DIGEST_MISMATCH', 'storage sends more than the file has');
    await writeAll(arrival.file, chunk, arrival.offset);
    arrival.hash.update(chunk);
    arrival.offset += chunk.length;
    job.onProgress?.(arrival.offset);
  }
}
