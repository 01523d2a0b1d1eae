import type { Clock, Log } from '../../../protocol/runtime/runtime.ts';
import { createHeartbeats, type Beat, type Heartbeats } from '../kit/heartbeats.ts';
import type { AlienJob, Central } from './central.ts';
import { procInfoLine } from './proc-info.ts';

/** Keeps the queue from thinking a job lost: it makes a ZOMBIE of one that is silent for an hour, and ends it after another. */
export interface LifeSigns {
  /** A broker has it, and no agent runs it. */
  waits(beat: Beat): void;
  /** An agent runs it. */
  runs(beat: Beat): void;
  /** The attempt is over; nothing is said of the job until it waits or runs again. */
  ended(job: string, attempt: number): void;
  readonly size: number;
  stop(): Promise<void>;
}

export interface LifeSignsOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly central: Central;
  readonly jobOf: (state: string) => AlienJob | undefined;
  readonly everyMs: number;
  /** How often each job is asked for, so that one that ended in the queue is ended here. */
  readonly probeMs: number;
  /** How long a job that nobody runs is kept alive. */
  readonly waitMs: number;
  /** The job is no longer ours. */
  readonly onOver: (job: string) => void;
}

/** A third of the silence that makes a ZOMBIE. */
const WAITING_EVERY_MS = 1_200_000;
/** An agent renews its lease far more often. */
const SILENT_MS = 10_800_000;
const BATCH = 100;

export function createLifeSigns(options: LifeSignsOptions): LifeSigns {
  const { clock, log, central, jobOf, everyMs, probeMs, waitMs, onOver } = options;
  const sinceMs = new Map<string, number>();
  const probedMs = new Map<string, number>();

  const forget = (job: string): void => {
    sinceMs.delete(job);
    probedMs.delete(job);
  };
  /** Brings a ZOMBIE back, changes nothing else, and shows whether the job is still ours. */
  const probe = async ({ job, state }: Beat): Promise<void> => {
    const known = jobOf(state);
    if (known === undefined || (probedMs.get(job) ?? 0) > clock.monotonicMs()) return;
    probedMs.set(job, clock.monotonicMs() + probeMs);
    if ((await central.setStatus(known, { from: 'ZOMBIE', to: 'RUNNING' })) === 'over') onOver(job);
  };
  const beat = async (batch: readonly Beat[]): Promise<void> => {
    const lines = batch.flatMap(({ job, state }) => {
      const known = jobOf(state);
      const wallSeconds = (clock.monotonicMs() - (sinceMs.get(job) ?? clock.monotonicMs())) / 1000;
      const text = procInfoLine({ wallSeconds, cpuSeconds: 0, memoryMiB: 0 });
      return known === undefined ? [] : [{ job: known, tag: 'proc', text }];
    });
    await central.write(lines);
    for (const one of batch) await probe(one);
  };
  const common = { clock, log, batch: BATCH, beat };
  const running: Heartbeats = createHeartbeats({ ...common, everyMs, silentMs: SILENT_MS });
  const waiting: Heartbeats = createHeartbeats({
    ...common,
    everyMs: Math.min(WAITING_EVERY_MS, Math.max(everyMs, waitMs)),
    silentMs: waitMs,
  });

  return {
    waits(one) {
      waiting.alive(one);
    },
    runs(one) {
      if (!sinceMs.has(one.job)) {
        sinceMs.set(one.job, clock.monotonicMs());
        probedMs.set(one.job, clock.monotonicMs() + probeMs);
      }
      running.alive(one);
      waiting.ended(one.job, one.attempt);
    },
    ended(job, attempt) {
      running.ended(job, attempt);
      waiting.ended(job, attempt);
      forget(job);
    },
    get size() {
      return running.size + waiting.size;
    },
    async stop() {
      await Promise.all([running.stop(), waiting.stop()]);
    },
  };
}
