import { join } from 'node:path';
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
 * time, and closes an attempt to writers only while it removes something there. Returns how many files and directories went.
 */
export async function sweepAttempts(parts: SweepParts, signal: AbortSignal): Promise<number> {
  let removed = 0;
  for await (const job of parts.disk.list(parts.places.attempts)) {
    for await (const attempt of parts.disk.list(parts.places.job(job))) {
      if (signal.aborted) return removed;
      const ref = parseAttempt(job, attempt);
      if (ref === undefined) continue; // not ours: a person put it there
      if ((await leftovers(parts, ref)).length === 0) continue;
      await parts.writers.ifIdle(ref, async () => {
        const found = await leftovers(parts, ref);
        for (const path of found) await parts.disk.remove(path);
        removed += found.length;
      });
    }
  }
  return removed;
}

/** Files of an attempt that have no row, or its whole directory where none has; at most as many as one attempt can leave. */
async function leftovers(parts: SweepParts, ref: AttemptRef): Promise<readonly string[]> {
  const known = new Set(parts.registry.tables.files(ref).map((file) => nameOnDisk(file.name)));
  const directory = parts.places.attempt(ref);
  if (known.size === 0) return [directory];
  const unknown: string[] = [];
  for await (const name of parts.disk.list(directory)) {
    if (!known.has(name)) unknown.push(join(directory, name));
  }
  return unknown;
}
