import { type ErrorCode, toCoPilotError } from '../../protocol/errors.ts';
import type { Clock } from '../../protocol/runtime/runtime.ts';
import type { RunGroup } from './group-queue.ts';

/** Sees a group once it is durable or refused. */
export type OnGroup = (commands: number, seconds: number, failure: ErrorCode | undefined) => void;

/** `run`, with each group told to `onGroup`. */
export function watched(clock: Clock, onGroup: OnGroup | undefined, run: RunGroup): RunGroup {
  if (onGroup === undefined) return run;
  return async (commands) => {
    const fromMs = clock.monotonicMs();
    const seconds = (): number => (clock.monotonicMs() - fromMs) / 1000;
    try {
      const outcomes = await run(commands);
      onGroup(commands.length, seconds(), undefined);
      return outcomes;
    } catch (caught) {
      onGroup(commands.length, seconds(), toCoPilotError(caught).code);
      throw caught;
    }
  };
}
