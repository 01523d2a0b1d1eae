import type { JobRow } from '../core/state.ts';
import type { Verdict } from '../../protocol/generated/types.ts';
import type { Cancel, Clock } from '../../protocol/runtime/runtime.ts';
import { verdictOf } from './verdict-of.ts';

/** A verdict, or how far it is. */
export interface Said {
  readonly verdict: Verdict;
  readonly reason: string;
}

/** Answers that wait a bounded moment for what becomes of a report (docs/adr/0009). */
export interface Verdicts {
  /** The verdict once it is known, or how far it is after `waitMs`. */
  settled(job: JobRow, attempt: number, waitMs: number): Promise<Said>;
  /** Storage has the result for good: its commit is certain before the row says so (docs/adr/0028). */
  registered(job: string, attempt: number): void;
  /** A row changed. */
  changed(job: JobRow): void;
  stop(): void;
}

export function createVerdicts(clock: Clock): Verdicts {
  const waiting = new Map<
    string,
    { readonly answer: (said: Said) => void; readonly cancel: Cancel; latest: Said }
  >();

  function finish(key: string, said = waiting.get(key)?.latest): void {
    const entry = waiting.get(key);
    if (entry === undefined || said === undefined) return;
    waiting.delete(key);
    entry.cancel();
    entry.answer(said);
  }

  return {
    settled(job, attempt, waitMs) {
      const latest = verdictOf(job, attempt);
      if (latest.verdict !== 'verifying') return Promise.resolve(latest);
      const key = keyOf(job.id, attempt);
      finish(key);
      return new Promise((answer) => {
        const cancel = clock.schedule(waitMs, () => finish(key));
        waiting.set(key, { answer, cancel, latest });
      });
    },
    registered(job, attempt) {
      finish(keyOf(job, attempt), { verdict: 'committed', reason: '' });
    },
    changed(job) {
      if (waiting.size === 0) return;
      for (const { number } of job.attempts) {
        const key = keyOf(job.id, number);
        const entry = waiting.get(key);
        if (entry === undefined) continue;
        entry.latest = verdictOf(job, number);
        if (entry.latest.verdict !== 'verifying') finish(key);
      }
    },
    stop() {
      for (const key of [...waiting.keys()]) finish(key);
    },
  };
}

function keyOf(job: string, attempt: number): string {
  return `${job} ${attempt}`;
}
