import { toCoPilotError } from '../protocol/errors.ts';
import type { Cancel, Clock, Log } from '../protocol/runtime/runtime.ts';

const PAUSE_MS = 250;
const ROUND_MS = 60_000;

/** Takes small steps of something nobody waits for: with short pauses while there is more, then once a minute. Stops when it is cancelled. */
export function repeatSteps(clock: Clock, log: Log, step: () => Promise<{ readonly more: boolean }>): Cancel {
  let cancel: Cancel = () => undefined;
  let isStopped = false;
  const later = (delayMs: number): void => {
    if (!isStopped) cancel = clock.schedule(delayMs, () => void run());
  };
  const run = async (): Promise<void> => {
    try {
      later((await step()).more ? PAUSE_MS : ROUND_MS);
    } catch (caught) {
      log.warn(
        { errorCode: toCoPilotError(caught).code },
        'what is old could not be removed; tried again later',
      );
      later(ROUND_MS);
    }
  };
  later(ROUND_MS);
  return () => {
    isStopped = true;
    cancel();
  };
}
