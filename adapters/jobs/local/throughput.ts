import type { Clock } from '../../../protocol/runtime/runtime.ts';
import type { JobChange } from './queued-job.ts';

/** How far back the pace is measured. */
export const WINDOW_MS = 600_000;

const CELL_MS = 10_000;

/** Campaigns and queues measured at once; the one without news for longest is forgotten first. */
const MAX_MEASURED = 4096;

/** Jobs finished of late, by campaign and queue, since this start of the program; for people. */
export interface Throughput {
  note(changes: readonly JobChange[]): void;
  /** Null where too little was seen to say. */
  perMinute(scope: 'campaign' | 'queue', name: string): number | null;
}

interface Cell {
  readonly number: number;
  count: number;
}

export function createThroughput(clock: Clock, maxMeasured = MAX_MEASURED): Throughput {
  const startedMs = clock.monotonicMs();
  const measured = new Map<string, Cell[]>();
  const cellNow = (): number => Math.floor(clock.monotonicMs() / CELL_MS);

  const count = (key: string): void => {
    const number = cellNow();
    const cells = (measured.get(key) ?? []).filter((cell) => isRecent(cell, number));
    const last = cells.at(-1);
    if (last?.number === number) last.count++;
    else cells.push({ number, count: 1 });
    // Deleted and set again, so that the map's order is that of news.
    measured.delete(key);
    measured.set(key, cells);
    const oldest = measured.keys().next();
    if (measured.size > maxMeasured && oldest.done !== true) measured.delete(oldest.value);
  };

  return {
    note(changes) {
      for (const { state, campaign, queue } of changes) {
        if (state !== 'finished') continue;
        count(`campaign ${campaign}`);
        count(`queue ${queue}`);
      }
    },
    perMinute(scope, name) {
      const number = cellNow();
      const cells = (measured.get(`${scope} ${name}`) ?? []).filter((cell) => isRecent(cell, number));
      const sinceMs = Math.min(WINDOW_MS, clock.monotonicMs() - startedMs);
      if (cells.length === 0 || sinceMs < CELL_MS) return null;
      return cells.reduce((sum, cell) => sum + cell.count, 0) / (spanMs(cells, number, sinceMs) / 60_000);
    },
  };
}

/** From the first job of the window on: a campaign that has just begun is not slow. */
function spanMs(cells: readonly Cell[], now: number, mostMs: number): number {
  const first = cells[0]?.number ?? now;
  return Math.max(CELL_MS, Math.min(mostMs, (now - first + 1) * CELL_MS));
}

function isRecent(cell: Cell, now: number): boolean {
  return cell.number > now - WINDOW_MS / CELL_MS;
}
