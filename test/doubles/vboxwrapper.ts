import { existsSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import type { Cancel, Clock } from '../../protocol/runtime/runtime.ts';

export interface WrapperJob {
  /** `minimum_heartbeat_interval`. */
  readonly heartbeatSeconds: number;
  /** `job_duration`; none where it is left out. */
  readonly jobSeconds?: number;
}

export type WrapperEnd =
  | { readonly kind: 'finished'; readonly code: number; readonly notice: boolean; readonly message: string }
  | { readonly kind: 'away'; readonly seconds: number; readonly notice: boolean; readonly message: string }
  | { readonly kind: 'heartbeat missing' | 'heartbeat late' | 'time over' };

/** BOINC's vboxwrapper as a machine sees it: four files of the shared directory, looked at by a clock of the test. */
export interface Vboxwrapper {
  /** What came first. */
  readonly end: WrapperEnd | undefined;
  readonly fraction: number;
  /** The user suspends BOINC: nothing is looked at. */
  pause(): void;
  resume(): void;
  stop(): void;
}

const POLL_MS = 1_000;
const MISSED_CHECKS = 3;

export function startVboxwrapper(directory: string, clock: Clock, job: WrapperJob): Vboxwrapper {
  const file = (name: string): string => join(directory, name);
  const checkMs = (job.heartbeatSeconds / 3) * 1_000;
  let end: WrapperEnd | undefined;
  let isPaused = false;
  let ranMs = 0;
  let nextCheckMs = checkMs;
  let missed = 0;
  let isFirst = true;
  let cancel: Cancel = clock.schedule(POLL_MS, poll);

  function poll(): void {
    cancel = clock.schedule(POLL_MS, poll);
    if (isPaused || end !== undefined) return;
    ranMs += POLL_MS;
    end = triggered() ?? heartbeat() ?? overdue();
  }

  function triggered(): WrapperEnd | undefined {
    const done = take('shutdown');
    if (done !== undefined) return { kind: 'finished', code: done.number, ...done.words };
    const away = take('temporary_exit');
    return away && { kind: 'away', seconds: away.number, ...away.words };
  }

  /** It is gone once it was read. */
  function take(name: string) {
    if (!existsSync(file(name))) return undefined;
    const [number = '', notice = '', ...rest] = readFileSync(file(name), 'utf8').split('\n');
    rmSync(file(name));
    return { number: Number(number), words: { notice: notice === '1', message: rest.join('\n').trim() } };
  }

  function heartbeat(): WrapperEnd | undefined {
    if (ranMs < nextCheckMs) return undefined;
    nextCheckMs += checkMs;
    if (!existsSync(file('heartbeat'))) return { kind: 'heartbeat missing' };
    // Set back after each look, so that whatever was written since is newer, however fast the test's clock goes.
    const isNewer = statSync(file('heartbeat')).mtimeMs > 0;
    utimesSync(file('heartbeat'), 0, 0);
    missed = isNewer || isFirst ? 0 : missed + 1;
    isFirst = false;
    return missed >= MISSED_CHECKS ? { kind: 'heartbeat late' } : undefined;
  }

  function overdue(): WrapperEnd | undefined {
    return ranMs >= (job.jobSeconds ?? Number.POSITIVE_INFINITY) * 1_000 ? { kind: 'time over' } : undefined;
  }

  return {
    get end() {
      return end;
    },
    get fraction() {
      const text = existsSync(file('fraction_done')) ? readFileSync(file('fraction_done'), 'latin1') : '0';
      const last = Number(text.slice(-32).trim().split(/\s+/).at(-1));
      return Number.isNaN(last) ? 0 : Math.min(1, Math.max(0, last));
    },
    pause() {
      isPaused = true;
    },
    resume() {
      isPaused = false;
    },
    stop: () => cancel(),
  };
}
