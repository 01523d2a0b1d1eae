import { CoPilotError } from '../../protocol/errors.ts';
import type { ErrorCode } from '../../protocol/errors.ts';
import type { Clock, Log, Random } from '../../protocol/runtime/runtime.ts';
import { reasonOf } from './http-exchange.ts';

export interface PatienceOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  /** Failures in a row, without a byte moved between them, before giving up. */
  readonly attempts: number;
  readonly baseMs: number;
  readonly maxMs: number;
}

/** Failures that may pass by themselves. */
const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'DPOP_NONCE_REQUIRED',
  'DPOP_REPLAYED',
  'INTERNAL',
  'OFFSET_MISMATCH',
  'STORAGE_BUSY',
  'STORAGE_FULL',
  'UNREACHABLE',
  'UPLOAD_BUSY',
  'UPLOAD_STALLED',
]);

/**
 * Repeats `step` until it says it is done, waiting ever longer after failures that may pass, with jitter; a step that moved
 * something on starts the count anew. Rejects with the first other failure, with the last one when patience ends, or with the
 * signal's reason.
 */
export async function persist(
  step: () => Promise<'done' | 'on'>,
  options: PatienceOptions,
  signal: AbortSignal,
): Promise<void> {
  let failures = 0;
  for (;;) {
    signal.throwIfAborted();
    try {
      if ((await step()) === 'done') return;
      failures = 0;
    } catch (error) {
      failures++;
      if (!mayPass(error) || failures >= options.attempts) throw error;
      options.log.debug({ failures, code: error.code }, 'a transfer waits and tries again');
      await wait(options, failures, signal);
    }
  }
}

function mayPass(error: unknown): error is CoPilotError {
  return error instanceof CoPilotError && PASSING.has(error.code);
}

/** Between half of the delay and all of it: agents that failed together do not come back together. */
function wait(options: PatienceOptions, failures: number, signal: AbortSignal): Promise<void> {
  const delayMs = Math.min(options.maxMs, options.baseMs * 2 ** (failures - 1));
  const jitter = (options.random.bytes(1)[0] ?? 0) / 255;
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(reasonOf(signal));
      return;
    }
    const stop = (): void => {
      cancel();
      reject(reasonOf(signal));
    };
    const cancel = options.clock.schedule((delayMs * (1 + jitter)) / 2, () => {
      signal.removeEventListener('abort', stop);
      resolve();
    });
    signal.addEventListener('abort', stop, { once: true });
  });
}
