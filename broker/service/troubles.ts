import { toCoPilotError } from '../../protocol/errors.ts';
import type { Clock } from '../../protocol/runtime/runtime.ts';

/** A step that fails and is tried again. */
export interface Trouble {
  /** A duty (verify, finalise, discard, tell), `grant` for capabilities, or `fetch` for new jobs. */
  readonly step: string;
  /** What the other side answered, or our own code for what went wrong. */
  readonly code: string;
  readonly message: string;
  readonly times: number;
  readonly sinceMs: number;
  readonly lastMs: number;
}

/** What fails at the moment, by what it is for: a job or a queue. For people who ask why; lost with the process. */
export interface Troubles {
  failed(subject: string, step: string, caught: unknown): void;
  /** The step is done: nothing is wrong with it any more. */
  went(subject: string, step: string): void;
  /** Times are of the clock, not of the ledger. */
  of(subject: string): readonly Trouble[];
}

const MAX_SUBJECTS = 4096;
const MAX_MESSAGE = 300;

/** The subject that has had no trouble for longest is forgotten at the bound. */
export function createTroubles(clock: Clock): Troubles {
  const bySubject = new Map<string, Map<string, Trouble>>();
  return {
    failed(subject, step, caught) {
      const steps = bySubject.get(subject) ?? new Map<string, Trouble>();
      const before = steps.get(step);
      const nowMs = clock.monotonicMs();
      const { code, message } = wordsOf(caught);
      const times = (before?.times ?? 0) + 1;
      steps.set(step, { step, code, message, times, sinceMs: before?.sinceMs ?? nowMs, lastMs: nowMs });
      bySubject.delete(subject);
      bySubject.set(subject, steps);
      const [oldest] = bySubject.keys();
      if (oldest !== undefined && bySubject.size > MAX_SUBJECTS) bySubject.delete(oldest);
    },
    went(subject, step) {
      const steps = bySubject.get(subject);
      if (steps?.delete(step) === true && steps.size === 0) bySubject.delete(subject);
    },
    of: (subject) => [...(bySubject.get(subject)?.values() ?? [])],
  };
}

/** An adapter's refusal stands in the message of the error that was made of it. */
function wordsOf(caught: unknown): { readonly code: string; readonly message: string } {
  const error = toCoPilotError(caught);
  const answered = /^the adapter answered ([A-Z_]+): /.exec(error.message);
  return { code: answered?.[1] ?? error.code, message: error.message.slice(0, MAX_MESSAGE) };
}
