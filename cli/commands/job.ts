import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { JobDetail, JobFilter, JobSummary } from '../../adapters/jobs/local/queued-job.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import { cancelCampaign } from './cancel-campaign.ts';
import { EXIT, type Output, show } from '../command-line.ts';
import { connect } from '../connection.ts';
import type { ControlClient } from '../control-client.ts';
import { safeLine } from '../display/safe-text.ts';
import { jobPages } from '../job-pages.ts';
import { type Listing, showListing } from '../listing.ts';
import { queueChanges } from '../watch.ts';
import {
  action,
  type CommonOptions,
  type ListOptions,
  outputOf,
  watchUntilInterrupted,
  withCommon,
  withList,
} from './common.ts';
import { addJobFetchCommand } from './fetch.ts';
import { addLogsCommand } from './logs.ts';
import { addSubmitCommand } from './submit.ts';
import { addWhyCommand } from './why.ts';

interface JobListOptions extends ListOptions {
  readonly campaign?: string;
  readonly state?: string;
}

interface CancelOptions extends CommonOptions {
  readonly campaign?: string;
  readonly state?: string;
  readonly dryRun?: boolean;
}

type State = JobSummary['state'];

const STATES: readonly State[] = [
  'pending',
  'handed',
  'accepted',
  'running',
  'finished',
  'failed',
  'cancelled',
];
const STATE_HELP = `only jobs in this state (${STATES.join(', ')})`;

/** Jobs that are looked at again and again. */
const MAX_WATCHED = 1000;

/** `co-pilot job …`: the user's own jobs in the local queue. */
export function addJobCommands(program: Command): void {
  const job = program.command('job').description('submit, watch and fetch your jobs');
  addSubmitCommand(job);
  withList(job.command('list'))
    .description('list jobs, newest last')
    .option('--campaign <name>', 'only this campaign')
    .option('--state <state>', STATE_HELP)
    .action(action(list));
  withCommon(job.command('show').argument('<job>'))
    .description('everything known of a job')
    .action(action(showJob));
  addLogsCommand(job);
  addJobFetchCommand(job);
  withCommon(job.command('cancel').argument('[job...]'))
    .description('end jobs that have no result yet')
    .option('--campaign <name>', 'all of this campaign instead')
    .option('--state <state>', `with --campaign, ${STATE_HELP}`)
    .option('--dry-run', 'only say what would be cancelled')
    .action(action(cancel));
  withCommon(job.command('retry').argument('<job...>'))
    .description('queue failed or cancelled jobs again, each under a new id')
    .action(action(retry));
  addWhyCommand(job);
}

async function list(options: JobListOptions): Promise<number> {
  const output = outputOf(options);
  const { queue } = await connect(resolve(options.data));
  const state = options.state === undefined ? undefined : stateOf(options.state);
  const filter: JobFilter = {
    ...(options.campaign !== undefined && { campaign: options.campaign }),
    ...(state !== undefined && { state }),
  };
  if (options.watch === true) return watchJobs(output, queue, filter);
  if (output.jsonl) {
    for await (const jobs of jobPages(queue, filter)) showListing(output, listing(jobs));
    return EXIT.ok;
  }
  const jobs: JobSummary[] = [];
  for await (const page of jobPages(queue, filter)) jobs.push(...page);
  showListing(output, listing(jobs));
  return EXIT.ok;
}

async function watchJobs(output: Output, queue: ControlClient, filter: JobFilter): Promise<number> {
  const look = async (): Promise<Listing<JobSummary>> => {
    const page = await queue.list({ ...filter, limit: MAX_WATCHED });
    if (page.next !== undefined)
      throw new CoPilotError(
        'INVALID_REQUEST',
        `these are over ${MAX_WATCHED} jobs; choose fewer with --campaign and --state, or take \`co-pilot campaign list --watch\``,
      );
    return listing(page.jobs);
  };
  return watchUntilInterrupted(output, {
    look,
    changes: (until) => queueChanges(queue, filter.campaign, until),
  });
}

function listing(items: readonly JobSummary[]): Listing<JobSummary> {
  return {
    name: 'jobs',
    items,
    header: ['JOB', 'LABEL', 'CAMPAIGN', 'STATE', 'ATTEMPT', 'PROGRESS', 'REASON'],
    row: (job) => [
      job.job,
      job.label,
      job.campaign,
      job.state,
      String(job.attempt),
      percent(job),
      job.reason,
    ],
    key: ({ job }) => job,
  };
}

function percent({ state, progress }: JobSummary): string {
  return state === 'running' ? `${Math.round(100 * progress)}%` : '';
}

function stateOf(text: string): State {
  const state = STATES.find((one) => one === text);
  if (state !== undefined) return state;
  throw new CoPilotError('INVALID_REQUEST', `there is no state ${text}; states are ${STATES.join(', ')}`);
}

async function showJob(id: string, options: CommonOptions): Promise<number> {
  const { queue } = await connect(resolve(options.data));
  const job = await queue.show(id);
  show(outputOf(options), job, () => detailLines(job).map(safeLine));
  return EXIT.ok;
}

function detailLines(job: JobDetail): readonly string[] {
  const { command, arguments: args } = job.description;
  return [
    `job       ${job.job} (${job.label})`,
    `campaign  ${job.campaign} in queue ${job.queue}, priority ${job.priority}`,
    `state     ${job.state}${job.reason === '' ? '' : `: ${job.reason}`}`,
    `attempt   ${job.attempt}${job.agent === '' ? '' : ` on agent ${job.agent}`}`,
    `command   ${[command, ...args].join(' ')}`,
    ...(job.retryOf === '' ? [] : [`retry of  ${job.retryOf}`]),
    ...(job.retriedAs === '' ? [] : [`retried   as ${job.retriedAs}`]),
    ...job.failures.map((failure) => `failed    attempt ${failure.attempt}: ${failure.reason}`),
    ...(job.result?.manifest ?? []).map(
      (file) => `output    ${file.name} ${file.size} bytes sha256:${file.sha256}`,
    ),
  ];
}

async function cancel(ids: readonly string[], options: CancelOptions): Promise<number> {
  const { campaign, state } = options;
  if (campaign !== undefined && ids.length === 0)
    return cancelCampaign(campaign, { ...options, state: state === undefined ? undefined : stateOf(state) });
  if (ids.length === 0 || campaign !== undefined || state !== undefined)
    throw new CoPilotError('INVALID_REQUEST', 'name jobs, or a campaign with --campaign and maybe --state');
  const output = outputOf(options);
  const { queue } = await connect(resolve(options.data));
  const jobs: JobDetail[] = [];
  for (const id of ids) jobs.push(await (options.dryRun === true ? queue.show(id) : queue.cancel(id)));
  const dryRun = options.dryRun === true;
  show(output, dryRun ? { jobs, dryRun } : { jobs }, () =>
    jobs.map((job) => `${job.job} ${dryRun ? wouldText(job) : cancelledText(job)}`),
  );
  return EXIT.ok;
}

function cancelledText({ state, cancelling }: JobDetail): string {
  return cancelling && state !== 'cancelled' ? 'is being cancelled' : state;
}

function wouldText({ state }: JobDetail): string {
  const isEnded = ['finished', 'failed', 'cancelled'].includes(state);
  return isEnded ? `stays ${state}` : `is ${state} and would be cancelled`;
}

async function retry(ids: readonly string[], options: CommonOptions): Promise<number> {
  const { queue } = await connect(resolve(options.data));
  const jobs: { readonly job: string; readonly retryOf: string }[] = [];
  for (const retryOf of ids) jobs.push({ job: await queue.retry(retryOf), retryOf });
  show(outputOf(options), { jobs }, () => jobs.map(({ job, retryOf }) => `${retryOf} runs again as ${job}`));
  return EXIT.ok;
}
