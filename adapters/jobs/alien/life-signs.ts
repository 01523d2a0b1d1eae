import type { Clock, Log } from '../../../protocol/runtime/runtime.ts';
import { createHeartbeats, type Beat, type Heartbeats } from '../kit/heartbeats.ts';
import { type AlienJob, type Central, PROBE } from './central.ts';
import { isBehind, isUnderWay } from './job-states.ts';
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
  /** How long a job that nobody runs is kept alive. */
  readonly waitMs: number;
  /** The job is no longer ours. */
  readonly onOver: (job: string) => void;
}

/** An agent renews its lease far more often. */
const SILENT_MS = 10_800_000;
const BATCH = 100;
const PROBE_MS = 600_000;

interface Known {
  readonly beat: Beat;
  readonly job: AlienJob;
}

function isFine(state: string, isRunning: boolean): boolean {
  return isUnderWay(state) || (!isRunning && isBehind(state) && state !== 'ZOMBIE');
}

export function createLifeSigns(options: LifeSignsOptions): LifeSigns {
  const { clock, log, central, jobOf, everyMs, waitMs, onOver } = options;
  const sinceMs = new Map<string, number>();
  const probedMs = new Map<string, number>();

  const forget = (job: string): void => {
    sinceMs.delete(job);
    probedMs.delete(job);
  };
  const beatOf =
    (isRunning: boolean) =>
    async (batch: readonly Beat[]): Promise<void> => {
      const known = batch.flatMap((beat): readonly Known[] => {
        const job = jobOf(beat.state);
        return job === undefined ? [] : [{ beat, job }];
      });
      await central.write(
        known.map(({ beat, job }) => {
          const wallSeconds = (clock.monotonicMs() - (sinceMs.get(beat.job) ?? clock.monotonicMs())) / 1000;
          return { job, tag: 'proc', text: procInfoLine({ wallSeconds, cpuSeconds: 0, memoryMiB: 0 }) };
        }),
      );
      await look(known, isRunning).catch((caught: unknown) => probeAll(known, caught));
    };
  /** Where the queue tells no states each job is asked for by its token; seldom, for the queue writes that into the job's log. */
  const probeAll = async (known: readonly Known[], caught: unknown): Promise<void> => {
    const nowMs = clock.monotonicMs();
    const due = known.filter(({ beat }) => nowMs - (probedMs.get(beat.job) ?? 0) >= PROBE_MS);
    if (due.length === 0) throw caught;
    for (const { beat, job } of due) {
      if ((await central.setStatus(job, PROBE)) === 'over') onOver(beat.job);
      probedMs.set(beat.job, nowMs);
    }
  };
  /** Whether all of them go on; of those that do not, one after the other is found by halves. */
  const look = async (known: readonly Known[], isRunning: boolean): Promise<void> => {
    const counts = await central.census(known.map(({ job }) => job));
    const fine = [...counts].reduce((sum, [state, count]) => sum + (isFine(state, isRunning) ? count : 0), 0);
    if (fine === known.length) return;
    const [first, ...others] = known;
    if (first === undefined) return;
    if (others.length === 0) return mend(first, [...counts.keys()][0] ?? '', isRunning);
    const half = Math.ceil(known.length / 2);
    await look(known.slice(0, half), isRunning);
    await look(known.slice(half), isRunning);
  };
  /** What the queue did not hear it is told again; what it has ended is ended here. */
  const mend = async ({ beat, job }: Known, state: string, isRunning: boolean): Promise<void> => {
    const change = isBehind(state) && isRunning ? { to: 'RUNNING' } : PROBE;
    if ((await central.setStatus(job, change)) === 'over') onOver(beat.job);
  };
  const common = { clock, log, batch: BATCH, everyMs };
  const running: Heartbeats = createHeartbeats({ ...common, silentMs: SILENT_MS, beat: beatOf(true) });
  const waiting: Heartbeats = createHeartbeats({ ...common, silentMs: waitMs, beat: beatOf(false) });

  return {
    waits(one) {
      waiting.alive(one);
    },
    runs(one) {
      if (!sinceMs.has(one.job)) sinceMs.set(one.job, clock.monotonicMs());
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
