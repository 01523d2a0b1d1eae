import type { Clock, Log } from '../../../protocol/runtime/runtime.ts';
import { type Beat, createHeartbeats } from '../kit/heartbeats.ts';
import { createRecent } from '../kit/recent.ts';
import { decodeState, type JobState } from './job-state.ts';
import { type Heard, type JobUpdate, MAX_UPDATES } from './panda-client.ts';
import { commandOf } from './states.ts';

/** The jobs that are with us, as far as this process has heard of them: PanDA is told that they live, and may want them ended. */
export interface LiveJobs {
  /** The job waits for an agent. */
  waits(job: string, state: string): void;
  runs(job: string, attempt: number, progress: number, state: string): void;
  /** The attempt is over, and the job waits for another one; news of a lower attempt change nothing from now on. */
  released(job: string, attempt: number, state: string): void;
  /** The job is over; `attempt` has the result, `NO_RESULT` where there is none. */
  ended(job: string, attempt: number): void;
  /** The attempt whose result PanDA has, or `NO_RESULT`; undefined for a job that is not over. */
  endOf(job: string): number | undefined;
  /** What PanDA answered about a job: a kill goes to the broker. */
  obey(job: string, heard: Heard): void;
  readonly kill: (job: string) => void;
  /** Says again that the job is to end, where it is. */
  remind(job: string): void;
  /** That a job runs, or waits: attempt 0. */
  update(state: JobState, attempt: number, node?: string): JobUpdate;
  stop(): Promise<void>;
}

export interface LiveJobsOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly everyMs: number;
  /** What PanDA is told as the node of a job that has no agent. */
  readonly scheduler: string;
  readonly tell: (updates: readonly JobUpdate[]) => Promise<readonly Heard[]>;
  readonly onKill: (job: string) => void;
}

export const NO_RESULT = 0;
const HOUR_MS = 3_600_000;
/** A job whose agent nobody heard of for longer is PanDA's to take back, */
const SILENT_MS = 3 * HOUR_MS;
/** and so is one that waits for an agent for longer. */
const WAITING_MS = 24 * HOUR_MS;
const MAX_KNOWN = 100_000;
const MAX_KILLED = 10_000;

export function createLiveJobs({ clock, log, everyMs, scheduler, tell, onKill }: LiveJobsOptions): LiveJobs {
  const ends = createRecent<number>(MAX_KNOWN);
  /** The lowest attempt that may be alive. */
  const lowest = createRecent<number>(MAX_KNOWN);
  const killed = createRecent<true>(MAX_KILLED);

  const kill = (job: string): void => {
    if (ends.get(job) !== undefined) return;
    killed.set(job, true);
    onKill(job);
  };
  const obey = (job: string, heard: Heard): void => {
    if (heard.kind === 'heard' && commandOf(heard.command) !== 'none') kill(job);
  };
  const update = ({ id, attempt: tried, site }: JobState, attempt: number, node = scheduler): JobUpdate => ({
    id,
    attempt: tried,
    site,
    node,
    status: attempt === 0 ? 'starting' : 'running',
  });
  const beat = async (batch: readonly Beat[]): Promise<void> => {
    const known = batch.flatMap(({ job, attempt, state }) => {
      const own = decodeState(state);
      return own === undefined ? [] : [{ job, update: update(own, attempt) }];
    });
    const answers = await tell(known.map((one) => one.update));
    for (const [at, { job }] of known.entries()) {
      const answer = answers[at];
      if (answer !== undefined) obey(job, answer);
    }
  };
  const beats = { clock, log, everyMs, batch: MAX_UPDATES, beat };
  const running = createHeartbeats({ ...beats, silentMs: SILENT_MS });
  const idle = createHeartbeats({ ...beats, silentMs: WAITING_MS });

  /** In PanDA a job that waits for another agent goes on as it was: `starting` does not bring it back. */
  const waits = (job: string, state: string): void => idle.alive({ job, attempt: 0, progress: 0, state });
  const isPast = (job: string, attempt: number): boolean => attempt < (lowest.get(job) ?? 0);

  return {
    waits,
    runs(job, attempt, progress, state) {
      if (isPast(job, attempt)) return;
      lowest.set(job, attempt);
      idle.ended(job, 0);
      running.alive({ job, attempt, progress, state });
    },
    released(job, attempt, state) {
      if (isPast(job, attempt)) return;
      lowest.set(job, attempt + 1);
      running.ended(job, attempt);
      waits(job, state);
    },
    ended(job, attempt) {
      ends.set(job, attempt);
      killed.remove(job);
      running.ended(job, Number.MAX_SAFE_INTEGER);
      idle.ended(job, 0);
    },
    endOf: (job) => ends.get(job),
    obey,
    kill,
    remind(job) {
      if (killed.get(job) !== undefined) kill(job);
    },
    update,
    async stop() {
      await running.stop();
      await idle.stop();
    },
  };
}
