import { CoPilotError } from '../../../protocol/errors.ts';

/** A job of AliEn that is ours until its token ends. */
export interface AlienJob {
  /** The queue's number for it, in decimal. */
  readonly id: string;
  /** Proves to the queue that we have it; empty where the queue knows us by our certificate. Never leaves this host unsealed. */
  readonly token: string;
  /** Whose it is. */
  readonly user: string;
  /** The computing element it was handed out to. */
  readonly ce: string;
}

export type MatchAnswer =
  | { readonly kind: 'job'; readonly job: AlienJob; readonly jdl: string }
  /** A job would match if the host had these. */
  | { readonly kind: 'install'; readonly packages: readonly string[] }
  | { readonly kind: 'none'; readonly why: string };

export interface StatusChange {
  /** The state it must have for that; any where it is left out. */
  readonly from?: string;
  readonly to: string;
  /** What the queue keeps with it: the exit code with SAVING, the description of the result with SAVED and errors. */
  readonly detail?: string;
  /** Who says the last word, so that a repetition is known; where the queue keeps it. */
  readonly by?: string;
}

/** Changes nothing but a ZOMBIE, which runs again; shows whether the job is still ours. */
export const PROBE: StatusChange = { from: 'ZOMBIE', to: 'RUNNING' };

/** `over`: the job is no longer ours, whatever became of it. `refused`: it is, and cannot change like that. */
export type StatusAnswer = 'ok' | 'over' | 'refused';

export interface LogLine {
  readonly job: AlienJob;
  /** `proc` for a heartbeat; otherwise a tag such as trace, error, state. */
  readonly tag: string;
  readonly text: string;
}

/**
 * The task queue of AliEn, whichever way it is spoken to. Every call rejects with `UNREACHABLE` or `TIMEOUT` where its answer was not
 * understood to its end; the queue may have done what was asked all the same.
 */
export interface Central {
  /** Asks for one job that fits the advertisement, once. */
  match(siteAd: string, ce: string): Promise<MatchAnswer>;
  setStatus(job: AlienJob, change: StatusChange): Promise<StatusAnswer>;
  /** Heartbeats and lines of job logs; a heartbeat brings a ZOMBIE back. */
  write(lines: readonly LogLine[]): Promise<void>;
  /** How many jobs of that kind wait for such hosts, at most so many. */
  offer(siteAd: string, slots: number): Promise<number>;
  /** How many of the jobs are in which state. */
  census(jobs: readonly AlienJob[]): Promise<ReadonlyMap<string, number>>;
  /** Whether a text stands in the job's log and the job has been saved. */
  isSaved(job: AlienJob, marker: string): Promise<boolean>;
  /** The state after SAVING: the classic queue registers outputs itself and goes on to DONE, JAliEn's has them registered. */
  readonly savedState: 'SAVED' | 'DONE';
}

/**
 * The last word on a job, heard to have been heard: a queue that says yes to everything has not ended the job's token. Rejects where it
 * was not done; `over` where the job had ended before.
 */
export async function endJob(central: Central, job: AlienJob, change: StatusChange): Promise<'ok' | 'over'> {
  const answer = await central.setStatus(job, change);
  if (answer === 'over') return 'over';
  if (answer === 'refused')
    throw new CoPilotError('UNREACHABLE', `AliEn does not let the job go to ${change.to} for now`);
  if (job.token === '' || (await central.setStatus(job, PROBE)) === 'over') return 'ok';
  throw new CoPilotError('UNREACHABLE', `AliEn said yes to ${change.to} and did not do it`);
}
