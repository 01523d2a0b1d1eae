import { toCoPilotError } from '../../../protocol/errors.ts';
import type { Cancel, Clock, Log } from '../../../protocol/runtime/runtime.ts';

export interface RepeatOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** From the end of one round to the begin of the next; the first begins after as long. */
  readonly everyMs: number;
  /** What a round did not do, for the log. */
  readonly failure: string;
}

/** Does something again and again, one round at a time; a round that rejects is noted. Answers what ends it, once the round under way has ended. */
export function repeatEvery(options: RepeatOptions, round: () => Promise<void>): () => Promise<void> {
  const { clock, log, everyMs, failure } = options;
  let isStopped = false;
  let cancel: Cancel = () => undefined;
  let running: Promise<void> = Promise.resolve();
  const run = async (): Promise<void> => {
    try {
      await round();
    } catch (caught) {
      log.warn({ code: toCoPilotError(caught).code }, failure);
    }
    later();
  };
  const later = (): void => {
    if (isStopped) return;
    cancel = clock.schedule(everyMs, () => {
      running = run();
    });
  };
  later();
  return async () => {
    isStopped = true;
    cancel();
    await running;
  };
}
