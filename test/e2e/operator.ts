import type { JobDetail, JobSummary } from '../../adapters/jobs/local/queued-job.ts';
import type { SubmittedCampaign } from '../../cli/submit.ts';
import { coPilot } from '../doubles/co-pilot-command.ts';
import { eventuallyTrue } from '../doubles/eventually.ts';

/** What a command with `--json` came to. */
export interface Asked {
  readonly code: number | null;
  readonly answer: unknown;
}

/** Somebody at the command line of an installation. */
export interface Operator {
  /** Runs a command with `--json`. */
  ask(...args: readonly string[]): Promise<Asked>;
  /** Submits a campaign file; fails where that is refused. */
  submit(file: string): Promise<SubmittedCampaign>;
  list(...args: readonly string[]): Promise<readonly JobSummary[]>;
  show(job: string): Promise<JobDetail>;
  /** Waits until each job is in the state. */
  reaches(jobs: readonly string[], state: JobDetail['state']): Promise<void>;
}

const REACHES_MS = 60_000;

export function operatorOf(directory: string): Operator {
  async function ask(...args: readonly string[]): Promise<Asked> {
    const { code, stdout, stderr } = await coPilot([...args, '--json', '--data', directory]);
    if (stdout.trim() === '') throw new Error(`${args.join(' ')} said nothing: ${stderr}`);
    return { code, answer: JSON.parse(stdout) };
  }

  async function done(...args: readonly string[]): Promise<unknown> {
    const { code, answer } = await ask(...args);
    if (code !== 0) throw new Error(`${args.join(' ')}: ${JSON.stringify(answer)}`);
    return answer;
  }

  async function show(job: string): Promise<JobDetail> {
    return (await done('job', 'show', job)) as JobDetail;
  }

  return {
    ask,
    submit: async (file) => (await done('job', 'submit', file)) as SubmittedCampaign,
    list: async (...args) =>
      ((await done('job', 'list', ...args)) as { readonly jobs: readonly JobSummary[] }).jobs,
    show,
    async reaches(jobs, state) {
      for (const job of jobs)
        await eventuallyTrue(
          `job ${job} to be ${state}`,
          async () => (await show(job)).state === state,
          REACHES_MS,
        );
    },
  };
}
