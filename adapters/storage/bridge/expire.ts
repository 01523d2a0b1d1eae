import type { Clock, Log } from '../../../protocol/runtime/runtime.ts';
import type { AttemptRef } from '../storage-adapter.ts';
import type { Disk } from './disk.ts';
import type { Places } from './places.ts';
import type { Quota } from './quota.ts';
import type { Registry } from './registry.ts';
import type { Writers } from './writers.ts';

/** How long the bridge keeps what has no result. Times are the machine's. */
export interface BridgeRetention {
  /** Files of an attempt nobody has asked about go this long after the last byte: longer than any lease. */
  readonly unfinishedMs: number;
  /** That an attempt was discarded is remembered this long: longer than any broker may ask for it. */
  readonly discardedMs: number;
}

export interface ExpireParts {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly log: Log;
  readonly places: Places;
  readonly quota: Quota;
  readonly registry: Registry;
  readonly writers: Writers;
}

/** Where the next step begins. */
export interface ExpirePlace {
  open: AttemptRef;
  settled: AttemptRef;
}

export const FRONT: AttemptRef = { job: '', attempt: 0 };

/**
 * Looks at the next attempts, at most `limit` of each kind. Files of one that is still open and was left alone go: asked for, it
 * is found to hold nothing, and the job is run again. Closed ones wait for the broker, results stay for good.
 */
export async function expireAttempts(
  parts: ExpireParts,
  retention: BridgeRetention,
  place: ExpirePlace,
  limit: number,
): Promise<{ readonly removed: number; readonly more: boolean }> {
  const { registry, clock } = parts;
  const nowMs = clock.wallMs();
  const open = registry.tables.touchedAttempts(place.open, limit);
  let removed = 0;
  for (const { ref, touchedMs } of open) {
    if (touchedMs + retention.unfinishedMs > nowMs || registry.tables.state(ref) !== 'open') continue;
    if (await parts.writers.ifIdle(ref, () => removeFiles(parts, ref))) removed += 1;
  }
  const settled = registry.tables.settledAttempts(place.settled, limit);
  const forgotten = settled.filter(
    ({ state, settledMs }) => state === 'discarded' && settledMs + retention.discardedMs <= nowMs,
  );
  if (forgotten.length > 0)
    await registry.write((tables) => {
      for (const { ref } of forgotten) tables.deleteAttempt(ref);
    });
  place.open = open.length < limit ? FRONT : (open.at(-1)?.ref ?? FRONT);
  place.settled = settled.length < limit ? FRONT : (settled.at(-1)?.ref ?? FRONT);
  return { removed, more: open.length === limit || settled.length === limit };
}

/** Rows first: bytes without a row are swept up, a row without bytes would be a lie. */
async function removeFiles(parts: ExpireParts, ref: AttemptRef): Promise<void> {
  const freed = await parts.registry.write((tables) => {
    if (tables.state(ref) !== 'open') return 0;
    const files = tables.files(ref);
    for (const { name } of files) tables.deleteFile(ref, name);
    return files.reduce((sum, { size }) => sum + size, 0);
  });
  if (freed === 0) return;
  parts.quota.free(freed);
  await parts.disk.remove(parts.places.attempt(ref));
  parts.log.info({ ...ref, bytes: freed }, 'files that were left alone are removed');
}
