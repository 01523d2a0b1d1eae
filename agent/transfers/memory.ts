import { CoPilotError } from '../../protocol/errors.ts';
import type { ErrorCode } from '../../protocol/errors.ts';
import type { Capability } from '../../protocol/generated/types.ts';
import type { Clock } from '../../protocol/runtime/runtime.ts';
import type { FileFacts, Transfers } from './transfers.ts';

/** What moves the bytes where there are none: the simulator binds it to storage's memory twin. */
export interface MemoryTransfersOptions {
  readonly clock: Clock;
  readonly put: (capability: Capability, facts: FileFacts) => Promise<void>;
  readonly get: (capability: Capability, facts: FileFacts) => Promise<void>;
  /** How long each transfer takes; nothing where it is left out. */
  readonly delayMs?: (facts: FileFacts) => number;
}

/** Transfers without a network or a disk: paths are not looked at. */
export interface MemoryTransfers extends Transfers {
  /** The next transfer of that direction fails, before its effect or after it. */
  failNext(direction: 'upload' | 'download', when: 'before' | 'after', code?: ErrorCode): void;
}

interface Fault {
  readonly direction: 'upload' | 'download';
  readonly when: 'before' | 'after';
  readonly code: ErrorCode;
}

export function createMemoryTransfers(options: MemoryTransfersOptions): MemoryTransfers {
  const faults = new Set<Fault>();
  const failIfAsked = (direction: Fault['direction'], when: Fault['when']): void => {
    for (const fault of faults) {
      if (fault.direction !== direction || fault.when !== when) continue;
      faults.delete(fault);
      throw new CoPilotError(fault.code, `${direction} failed as asked`);
    }
  };
  const move = async (
    direction: Fault['direction'],
    facts: FileFacts,
    signal: AbortSignal,
    act: () => Promise<void>,
  ): Promise<void> => {
    await delay(options.clock, options.delayMs?.(facts) ?? 0, signal);
    failIfAsked(direction, 'before');
    await act();
    failIfAsked(direction, 'after');
  };
  return {
    async upload(_path, capability, facts, signal, onProgress) {
      await move('upload', facts, signal, () => options.put(capability, facts));
      onProgress?.(facts.size);
    },
    async download(capability, _target, facts, signal, onProgress) {
      await move('download', facts, signal, () => options.get(capability, facts));
      onProgress?.(facts.size);
    },
    failNext(direction, when, code = 'UNREACHABLE') {
      faults.add({ direction, when, code });
    },
  };
}

/** Resolves after `delayMs`; rejects with the signal's reason where that comes first. */
function delay(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (delayMs <= 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      cancel();
      reject(abortReason(signal));
    };
    const cancel = clock.schedule(delayMs, () => {
      signal.removeEventListener('abort', stop);
      resolve();
    });
    signal.addEventListener('abort', stop, { once: true });
  });
}

function abortReason(signal: AbortSignal): Error {
  return signal.reason instanceof Error
    ? signal.reason
    : new CoPilotError('TIMEOUT', 'the transfer was given up');
}
