import type { Json } from './python-values.ts';

export type RangeState = 'ready' | 'sent' | 'running' | 'finished' | 'failed' | 'fatal' | 'transferring';

interface Range {
  readonly id: string;
  readonly job: number;
  readonly event: number;
  readonly last: number;
  state: RangeState;
}

const STATES: readonly string[] = ['running', 'transferring', 'finished', 'failed', 'fatal'];
const MAX_BAD_EVENT = 100_000;

/** What became of one item of an update: stored, refused, or of no interest. */
export type Stored = boolean | null;

/** The event ranges of all jobs, each of as many events as its job's ranges are. */
export class EventTable {
  readonly #ranges = new Map<string, Range>();

  /** The last range has what is left. */
  open(job: number, task: number, events: number, inRange: number): void {
    for (let event = 1; event <= events; event += inRange) {
      const id = `${task}-${job}-7001-${event}-1`;
      const last = Math.min(events, event + inRange - 1);
      this.#ranges.set(id, { id, job, event, last, state: 'ready' });
    }
  }

  acquire(job: number, count: number): readonly Json[] {
    const ready = this.of(job).filter((range) => range.state === 'ready');
    return ready.slice(0, count).map((range) => {
      range.state = 'sent';
      const { id, event, last } = range;
      return {
        eventRangeID: id,
        startEvent: event,
        lastEvent: last,
        LFN: 'events.root',
        GUID: '0e8f2a64-6d3c-4a4e-9f0d-3b8c5d7e9a10',
        scope: 'user.cp',
      };
    });
  }

  available(job: number): number {
    return this.of(job).filter((range) => range.state === 'ready').length;
  }

  update(id: string, state: string, isOpen: (job: number) => boolean): Stored {
    const range = this.#ranges.get(id);
    if (range === undefined || !STATES.includes(state) || !isOpen(range.job)) return false;
    if (range.event > MAX_BAD_EVENT) return null;
    if (isEnd(range.state)) return range.state === state;
    range.state = state as RangeState;
    return isEnd(range.state) ? true : null;
  }

  /** A consumer is gone: what it held and did not end is there for the next one. */
  giveBack(job: number): void {
    for (const range of this.of(job)) if (!isEnd(range.state)) range.state = 'ready';
  }

  of(job: number): readonly Range[] {
    return [...this.#ranges.values()].filter((range) => range.job === job);
  }

  jobOf(id: string): number | undefined {
    return this.#ranges.get(id)?.job;
  }
}

function isEnd(state: RangeState): boolean {
  return state === 'finished' || state === 'failed' || state === 'fatal';
}
