import { hex } from '../../../protocol/encoding.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { Clock, Random } from '../../../protocol/runtime/runtime.ts';
import { readBody } from './body.ts';
import type { Body } from './body.ts';
import { type ExtraAlgorithm, type ExtraDigests, startDigests } from './digests.ts';
import type { Disk } from './disk.ts';
import type { BridgeLimits } from './limits.ts';
import type { BridgeMeter } from './metrics.ts';
import type { Places } from './places.ts';
import type { Quota } from './quota.ts';
import type { Registry } from './registry.ts';

export interface InputParts {
  readonly clock: Clock;
  /** Computed beside SHA-256 as bytes come. */
  readonly digests: readonly ExtraAlgorithm[];
  readonly disk: Disk;
  readonly limits: BridgeLimits;
  readonly meter: BridgeMeter;
  readonly places: Places;
  readonly quota: Quota;
  readonly random: Random;
  readonly registry: Registry;
}

const PART = '.part';

/**
 * Takes an input in under its digest, from the trusted side; 'present' where it is there already. Two that bring the same
 * input at once both bring it whole, and the later name replaces the same bytes.
 */
export async function putInput(
  parts: InputParts,
  sha256: string,
  body: Body,
  signal: AbortSignal,
): Promise<'created' | 'present'> {
  if (parts.registry.tables.input(sha256) !== undefined) return 'present';
  const reservation = parts.quota.reserveInput(body.length);
  const temporary = `${parts.places.input(sha256)}.${hex(parts.random.bytes(8))}${PART}`;
  try {
    const digests = await land(parts, temporary, sha256, body, signal);
    await parts.disk.rename(temporary, parts.places.input(sha256));
    const isFirst = await parts.registry.write((tables) => {
      const isNew = tables.input(sha256) === undefined;
      tables.putInput(sha256, { size: body.length, digests });
      return isNew;
    });
    if (isFirst) reservation.keep();
    else reservation.release();
    return isFirst ? 'created' : 'present';
  } catch (error) {
    reservation.release();
    await parts.disk.remove(temporary);
    throw error;
  }
}

/** Removes what a stop left half brought; before anything is served. */
export async function sweepInputs(disk: Disk, places: Places): Promise<void> {
  for await (const name of disk.list(places.inputs)) {
    if (name.endsWith(PART)) await disk.remove(places.input(name));
  }
}

async function land(
  parts: InputParts,
  path: string,
  sha256: string,
  body: Body,
  signal: AbortSignal,
): Promise<ExtraDigests> {
  const file = await parts.disk.open(path, 'create');
  const hash = startDigests(parts.digests);
  let offset = 0;
  try {
    const take = async (chunk: Uint8Array): Promise<void> => {
      const written = file.write(chunk, offset);
      hash.update(chunk);
      await written;
      parts.meter.add('copilot_bridge_received_bytes_total', undefined, chunk.length);
      offset += chunk.length;
    };
    await readBody(body, take, { clock: parts.clock, limits: parts.limits, signal });
    if (hash.sha256() !== sha256)
      throw new CoPilotError('DIGEST_MISMATCH', 'the bytes are not what the URL names');
    await file.sync();
    return hash.extra();
  } finally {
    await file.close();
  }
}
