import type { JobDetail, JobSummary } from '../../adapters/jobs/local/queued-job.ts';
import type { SubmittedCampaign } from '../../cli/submit.ts';
import { runCommand } from '../doubles/command-in-process.ts';
import { eventuallyTrue } from '../doubles/eventually.ts';

/** What a command with `--json` came to. */
export interface Asked {
  readonly code: number;
  readonly answer: unknown;
}

/** Somebody at the command line of an installation, who waits for one command before the next. */
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
  let turn: Promise<unknown> = Promise.resolve();

  function ask(...args: readonly string[]): Promise<Asked> {
    const asked = turn.then(() => run(...args));
    turn = asked.catch(() => undefined);
    return asked;
  }

  async function run(...args: readonly string[]): Promise<Asked> {
    const { code, out, err } = await runCommand([...args, '--json', '--data', directory]);
    if (out.trim() === '') throw new Error(`${args.join(' ')} said nothing: ${err}`);
    return { code, answer: JSON.parse(out) };
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
