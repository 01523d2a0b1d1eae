import type { AttemptRef } from '../storage-adapter.ts';
import type { Disk } from './disk.ts';
import { nameOnDisk, parseAttempt } from './places.ts';
import type { Places } from './places.ts';
import type { Registry } from './registry.ts';
import type { Writers } from './writers.ts';

export interface SweepParts {
  readonly disk: Disk;
  readonly places: Places;
  readonly registry: Registry;
  readonly writers: Writers;
}

/**
 * Removes what no row accounts for: files whose upload or removal a stop cut short. Runs beside the service, one attempt at a
 * time, each closed to writers for as long as it takes. Returns how many files and empty directories went.
 */
export async function sweepAttempts(parts: SweepParts, signal: AbortSignal): Promise<number> {
  let removed = 0;
  for await (const job of parts.disk.list(parts.places.attempts)) {
    for await (const attempt of parts.disk.list(parts.places.job(job))) {
      if (signal.aborted) return removed;
      const ref = parseAttempt(job, attempt);
      if (ref === undefined) continue; // not ours: a person put it there
      await parts.writers.ifIdle(ref, async () => {
        removed += await sweepAttempt(parts, ref);
      });
    }
  }
  return removed;
}

async function sweepAttempt(parts: SweepParts, ref: AttemptRef): Promise<number> {
  const known = new Set(parts.registry.tables.files(ref).map((file) => nameOnDisk(file.name)));
  const directory = parts.places.attempt(ref);
  if (known.size === 0) {
    await parts.disk.remove(directory);
    return 1;
  }
  let removed = 0;
  for await (const name of parts.disk.list(directory)) {
    if (known.has(name)) continue;
    await parts.disk.remove(`${directory}/${name}`);
    removed++;
  }
  return removed;
}
