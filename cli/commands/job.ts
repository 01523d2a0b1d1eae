import { resolve } from 'node:path';
import { userInfo } from 'node:os';
import type { Command } from 'commander';
import { loadCampaign } from '../campaign/load.ts';
import { type Connection, connect } from '../connection.ts';
import { createOutput, EXIT, type Output, show, table } from '../command-line.ts';
import type {
  CampaignCounts,
  JobDetail,
  JobFilter,
  JobSummary,
} from '../../adapters/jobs/local/queued-job.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import { submitCampaign } from '../submit.ts';
import { waitForCampaign } from '../wait.ts';
import { action, type CommonOptions, withCommon } from './common.ts';
import { addWhyCommand } from './why.ts';

interface SubmitOptions extends CommonOptions {
  readonly wait?: boolean;
}

interface ListOptions extends CommonOptions {
  readonly campaign?: string;
  readonly state?: JobSummary['state'];
}

interface FetchOptions extends CommonOptions {
  readonly to: string;
  readonly campaign?: string;
}

const PAGE = 500;
const STATES = ['pending', 'handed', 'accepted', 'running', 'finished', 'failed', 'cancelled'] as const;

/** `co-pilot job …`: the user's own jobs in the local queue. */
export function addJobCommands(program: Command): void {
  const job = program.command('job').description('submit, watch and fetch your jobs');
  withCommon(job.command('submit').argument('<campaign.yaml>', 'what to run (docs/job-author.md)'))
    .description('submit every job of a campaign file')
    .option('--wait', 'wait until all jobs ended; exit 1 if one failed')
    .action(action(submit));
  withCommon(job.command('list'))
    .description('list jobs, newest last')
    .option('--campaign <name>', 'only this campaign')
    .option('--state <state>', `only jobs in this state (${STATES.join(', ')})`)
    .action(action(list));
  withCommon(job.command('show').argument('<job>'))
    .description('everything known of a job')
    .action(action(showJob));
  withCommon(job.command('fetch').argument('[job]'))
    .description('fetch the outputs of a finished job, or of all of a campaign')
    .option('--campaign <name>', 'all finished jobs of this campaign')
    .option('--to <directory>', 'where to put them', 'results')
    .action(action(fetch));
  withCommon(job.command('cancel').argument('<job...>'))
    .description('end jobs that have no result yet')
    .action(action(cancel));
  addWhyCommand(job);
}

async function submit(file: string, options: SubmitOptions): Promise<number> {
  const output = createOutput(options.json === true);
  const campaign = await loadCampaign(resolve(file));
  const connection = await connect(resolve(options.data));
  const submitted = await submitCampaign(connection, campaign, ownerName());
  if (options.wait !== true) {
    show(output, submitted, () => [
      `submitted ${submitted.jobs.length} jobs as campaign ${submitted.campaign}`,
    ]);
    return EXIT.ok;
  }
  output.note(`submitted ${submitted.jobs.length} jobs as campaign ${submitted.campaign}; waiting`);
  const counts = await waitForCampaign(connection.queue, submitted.campaign, (now) =>
    output.note(countsLine(now)),
  );
  show(output, { ...submitted, counts }, () => [countsLine(counts)]);
  return counts.states.finished === counts.total - counts.retried ? EXIT.ok : EXIT.failed;
}

function countsLine({ states, total }: CampaignCounts): string {
  const ended = states.finished + states.failed + states.cancelled;
  return `${ended} of ${total} ended: ${states.finished} finished, ${states.failed} failed, ${states.cancelled} cancelled; ${states.running} running`;
}

/** Owner names travel in the protocol: what the system calls the user, reduced to the letters it allows. */
function ownerName(): string {
  const name = userInfo()
    .username.toLowerCase()
    .replaceAll(/[^a-z0-9]/g, '');
  return name === '' ? 'user' : name.slice(0, 64);
}

async function list(options: ListOptions): Promise<number> {
  const output = createOutput(options.json === true);
  const { queue } = await connect(resolve(options.data));
  if (options.state !== undefined && !STATES.includes(options.state))
    throw new CoPilotError(
      'INVALID_REQUEST',
      `there is no state ${options.state}; states are ${STATES.join(', ')}`,
    );
  const jobs = await allJobs(
    { queue },
    {
      ...(options.campaign !== undefined && { campaign: options.campaign }),
      ...(options.state !== undefined && { state: options.state }),
    },
  );
  show(output, { jobs }, () =>
    jobs.length === 0
      ? ['no jobs']
      : table(
          ['JOB', 'LABEL', 'CAMPAIGN', 'STATE', 'ATTEMPT', 'PROGRESS', 'REASON'],
          jobs.map((job) => [
            job.job,
            job.label,
            job.campaign,
            job.state,
            String(job.attempt),
            percent(job),
            job.reason.slice(0, 60),
          ]),
        ),
  );
  return EXIT.ok;
}

function percent({ state, progress }: JobSummary): string {
  return state === 'running' ? `${Math.round(100 * progress)}%` : '';
}

async function allJobs(
  { queue }: Pick<Connection, 'queue'>,
  filter: JobFilter,
): Promise<readonly JobSummary[]> {
  const jobs: JobSummary[] = [];
  let after: number | undefined;
  do {
    const page = await queue.list({ ...filter, limit: PAGE, ...(after !== undefined && { after }) });
    jobs.push(...page.jobs);
    after = page.next;
  } while (after !== undefined);
  return jobs;
}

async function showJob(id: string, options: CommonOptions): Promise<number> {
  const output = createOutput(options.json === true);
  const { queue } = await connect(resolve(options.data));
  const job = await queue.show(id);
  show(output, job, () => detailLines(job));
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
    ...job.failures.map((failure) => `failed    attempt ${failure.attempt}: ${failure.reason}`),
    ...(job.result?.manifest ?? []).map(
      (file) => `output    ${file.name} ${file.size} bytes sha256:${file.sha256}`,
    ),
  ];
}

async function fetch(id: string | undefined, options: FetchOptions): Promise<number> {
  const output = createOutput(options.json === true);
  const connection = await connect(resolve(options.data));
  const ids = id === undefined ? await finishedOf(connection, options.campaign) : [id];
  const files: string[] = [];
  for (const job of ids) files.push(...(await fetchJob(connection, job, resolve(options.to))));
  show(output, { files }, () => (files.length === 0 ? ['nothing to fetch'] : files));
  return EXIT.ok;
}

async function finishedOf(connection: Connection, campaign: string | undefined): Promise<readonly string[]> {
  if (campaign === undefined)
    throw new CoPilotError('INVALID_REQUEST', 'name a job, or a campaign with --campaign');
  return (await allJobs(connection, { campaign, state: 'finished' })).map((job) => job.job);
}

async function fetchJob({ queue, results }: Connection, id: string, to: string): Promise<readonly string[]> {
  const job = await queue.show(id);
  if (job.result === undefined)
    throw new CoPilotError('NOT_FOUND', `job ${id} has no result: it is ${job.state}`);
  const files: string[] = [];
  for (const file of job.result.manifest)
    files.push(await results.fetch({ job: id, attempt: job.result.attempt }, file, `${to}/${id}`));
  return files;
}

async function cancel(ids: readonly string[], options: CommonOptions): Promise<number> {
  const output: Output = createOutput(options.json === true);
  const { queue } = await connect(resolve(options.data));
  const jobs: JobDetail[] = [];
  for (const id of ids) jobs.push(await queue.cancel(id));
  show(output, { jobs }, () =>
    jobs.map(
      (job) => `${job.job} ${job.cancelling && job.state !== 'cancelled' ? 'is being cancelled' : job.state}`,
    ),
  );
  return EXIT.ok;
}
