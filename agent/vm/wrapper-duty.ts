import { CoPilotError, toCoPilotError } from '../../protocol/errors.ts';
import type { Cancel, Runtime } from '../../protocol/runtime/runtime.ts';
import type { SlotPhase } from '../loop/events.ts';
import { atLeast } from '../loop/wait.ts';
import type { PresentedEvent } from '../present.ts';
import type { WrapperFiles } from './wrapper-files.ts';

export interface WrapperDutyOptions {
  readonly runtime: Pick<Runtime, 'clock' | 'random' | 'log'>;
  readonly files: WrapperFiles;
  /** The task is done after so long, pauses left out; never where it is left out. */
  readonly hours?: number;
  /** Without a job for so long the machine is put away for a while. */
  readonly idleMinutes: number;
  /** Take no new work. */
  readonly drain: () => void;
}

/** What an agent owes to vboxwrapper from its start to its end. */
export interface WrapperDuty {
  readonly onEvent: (event: PresentedEvent) => void;
  /** Says how the agent ended. Never rejects. */
  finish(): Promise<void>;
}

const BEAT_MS = 60_000;
/** A wait that took longer was a pause of the machine, or a jump of its clock: neither is work. */
const MAX_COUNTED_MS = 2 * BEAT_MS;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const AWAY_SECONDS = 3_600;
/** BOINC's own code for a machine that could not begin (EXIT_INIT_FAILURE). */
const INIT_FAILURE = 206;
const AT_WORK = new Set<SlotPhase>(['fetching', 'running', 'uploading', 'reporting']);

/** Begins to beat. Rejects with `INVALID_CONTEXT` where the directory cannot be written. */
export async function beginWrapperDuty(options: WrapperDutyOptions): Promise<WrapperDuty> {
  try {
    await options.files.beat();
  } catch (cause) {
    const { message } = toCoPilotError(cause);
    throw new CoPilotError('INVALID_CONTEXT', `the shared directory cannot be written: ${message}`, {
      cause,
    });
  }
  return new Duty(options, (options.hours ?? 0) * HOUR_MS * (await options.files.lastFraction()));
}

class Duty implements WrapperDuty {
  readonly #options: WrapperDutyOptions;
  readonly #slots = new Map<number, SlotPhase>();
  #workedMs: number;
  #idleMs = 0;
  #lastMs: number;
  #leaves = false;
  #ended: Extract<PresentedEvent, { kind: 'ended' }> | undefined;
  #cancel: Cancel;

  constructor(options: WrapperDutyOptions, workedMs: number) {
    this.#options = options;
    this.#workedMs = workedMs;
    this.#lastMs = options.runtime.clock.monotonicMs();
    this.#cancel = this.#schedule();
  }

  readonly onEvent = (event: PresentedEvent): void => {
    if (event.kind === 'slot') this.#slots.set(event.slot, event.phase);
    if (event.kind === 'ended') this.#ended = event;
  };

  async finish(): Promise<void> {
    this.#cancel();
    const { code = -1, reason = 'the agent ended without a word' } = this.#ended ?? {};
    await this.#try('its end', (files) => {
      if (code !== 0) return files.complete(INIT_FAILURE, `co-pilot: ${reason}`);
      if (!this.#leaves) return files.complete(0, 'co-pilot: drained');
      return files.leave(atLeast(this.#options.runtime.random, AWAY_SECONDS), 'co-pilot: there is no work');
    });
  }

  #schedule(): Cancel {
    return this.#options.runtime.clock.schedule(BEAT_MS, () => void this.#beat());
  }

  async #beat(): Promise<void> {
    this.#cancel = this.#schedule();
    this.#count();
    const { hours } = this.#options;
    await this.#try('a heartbeat', (files) => files.beat());
    if (hours === undefined) return;
    const fraction = Math.min(1, this.#workedMs / (hours * HOUR_MS));
    await this.#try('what is done', (files) => files.tellFraction(fraction));
  }

  #count(): void {
    const { runtime, hours, idleMinutes, drain } = this.#options;
    const nowMs = runtime.clock.monotonicMs();
    const passedMs = Math.min(MAX_COUNTED_MS, nowMs - this.#lastMs);
    this.#lastMs = nowMs;
    this.#workedMs += passedMs;
    const isAtWork = [...this.#slots.values()].some((phase) => AT_WORK.has(phase));
    this.#idleMs = isAtWork ? 0 : this.#idleMs + passedMs;
    if (hours !== undefined && this.#workedMs >= hours * HOUR_MS) return drain();
    if (this.#idleMs < idleMinutes * MINUTE_MS) return;
    this.#leaves = true;
    drain();
  }

  async #try(what: string, action: (files: WrapperFiles) => Promise<void>): Promise<void> {
    try {
      await action(this.#options.files);
    } catch (error) {
      this.#options.runtime.log.warn({ error }, `BOINC could not be told ${what}`);
    }
  }
}
