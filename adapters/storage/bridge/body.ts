import type { Readable } from 'node:stream';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { Clock } from '../../../protocol/runtime/runtime.ts';
import type { BridgeLimits } from './limits.ts';

/** The bytes of one request, whose number its headers stated. */
export interface Body {
  readonly stream: Readable;
  readonly length: number;
}

export interface Guard {
  readonly clock: Clock;
  readonly limits: BridgeLimits;
  /** Ends the reading with its reason. */
  readonly signal: AbortSignal;
}

/** Bytes of one body that wait while what came before them is taken; then its sender waits. */
const MAX_WAITING_BYTES = 128 * 1024;

/**
 * Hands a body over piece by piece, the next only after the last was taken; what comes meanwhile waits, within a bound, so that
 * memory stays flat and the disk is not idle while the network is read. Rejects with
 * `UPLOAD_STALLED` where it is too slow, `UNREACHABLE` where the sender goes away, and leaves the stream paused and whole
 * otherwise, so that an answer can still be sent.
 */
export function readBody(
  body: Body,
  take: (chunk: Uint8Array) => Promise<void>,
  guard: Guard,
): Promise<void> {
  if (guard.signal.aborted) return Promise.reject(abortReason(guard.signal));
  if (body.length === 0) return Promise.resolve();
  if (body.stream.destroyed) return Promise.reject(new CoPilotError('UNREACHABLE', 'the sender went away'));
  return new Promise((resolve, reject) => {
    const { stream } = body;
    const watch = watchPace(body.length, guard, (error) => finish(error));
    let taking: Promise<void> | undefined;
    let waiting: Uint8Array[] = [];
    let waitingBytes = 0;
    let hasEnded = false;
    let isOver = false;
    let gone: CoPilotError | undefined;
    const takeWaiting = (): void => {
      const chunk = joined(waiting);
      waiting = [];
      waitingBytes = 0;
      taking = take(chunk).then(onTaken, finish);
    };
    const onData = (chunk: Uint8Array): void => {
      waiting.push(chunk);
      waitingBytes += chunk.length;
      if (taking === undefined) takeWaiting();
      else if (waitingBytes >= MAX_WAITING_BYTES) {
        stream.pause();
        watch.pause();
        return;
      }
      watch.resume();
    };
    const onTaken = (): void => {
      taking = undefined;
      if (isOver) return;
      if (waitingBytes > 0) takeWaiting();
      else if (hasEnded || gone !== undefined) finish(gone);
      if (hasEnded || gone !== undefined || !stream.isPaused()) return;
      watch.resume();
      stream.resume();
    };
    const onEnd = (): void => {
      hasEnded = true;
      watch.pause();
      if (taking === undefined) finish();
    };
    /** What came before still counts. */
    const onGone = (): void => {
      if (hasEnded) return;
      watch.pause();
      gone = new CoPilotError('UNREACHABLE', 'the sender went away');
      if (taking === undefined) finish(gone);
    };
    const onAbort = (): void => finish(abortReason(guard.signal));
    const settle = (error: unknown): void => {
      if (error === undefined) resolve();
      else reject(error instanceof Error ? error : new CoPilotError('INTERNAL', 'the body failed'));
    };
    const finish = (error?: unknown): void => {
      isOver = true;
      stream.pause();
      watch.stop();
      stream.off('data', onData).off('end', onEnd).off('error', onGone).off('close', onGone);
      guard.signal.removeEventListener('abort', onAbort);
      // A piece still on its way to the disk counts: whoever asked may look at the file only after it.
      if (taking === undefined) settle(error);
      else void taking.then(() => settle(error));
    };
    guard.signal.addEventListener('abort', onAbort, { once: true });
    stream.on('data', onData).on('end', onEnd).on('error', onGone).on('close', onGone);
  });
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const [only] = chunks;
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks);
}

interface Pace {
  /** The sender is not to blame for what passes now. */
  pause(): void;
  /** It is waited for, from now. */
  resume(): void;
  stop(): void;
}

/** One timer looks often enough, instead of one armed and cancelled for each piece. */
function watchPace(length: number, guard: Guard, fail: (error: CoPilotError) => void): Pace {
  const { clock, limits } = guard;
  const allowedMs = limits.idleMs + (length / limits.minimumBytesPerSecond) * 1000;
  const endsMs = clock.monotonicMs() + Math.min(allowedMs, limits.maxUploadMs);
  let quietSinceMs: number | undefined = clock.monotonicMs();
  const look = (): void => {
    const nowMs = clock.monotonicMs();
    const isQuiet = quietSinceMs !== undefined && nowMs - quietSinceMs >= limits.idleMs;
    if (isQuiet || nowMs >= endsMs)
      fail(new CoPilotError('UPLOAD_STALLED', 'the body comes too slowly: resume where it stopped'));
    else cancel = clock.schedule(limits.idleMs / 4, look);
  };
  let cancel = clock.schedule(limits.idleMs / 4, look);
  return {
    pause: () => {
      quietSinceMs = undefined;
    },
    resume: () => {
      quietSinceMs = clock.monotonicMs();
    },
    stop: () => cancel(),
  };
}

function abortReason(signal: AbortSignal): Error {
  return signal.reason instanceof Error
    ? signal.reason
    : new CoPilotError('UNREACHABLE', 'the bridge gave up');
}
