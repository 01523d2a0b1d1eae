import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { JobDetail, JobResult } from '../../adapters/jobs/local/queued-job.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import { nodeClock } from '../../protocol/runtime/node-runtime.ts';
import { EXIT, type Output, show } from '../command-line.ts';
import { type Connection, connect } from '../connection.ts';
import { transferText } from '../display/pace.ts';
import { jobPages } from '../job-pages.ts';
import { action, type CommonOptions, outputOf, withCommon } from './common.ts';
import { standardProgress } from './standard-progress.ts';

interface FetchOptions extends CommonOptions {
  readonly to: string;
  readonly campaign?: string;
}

/** What fetching came to; `kept` files were there already. */
interface Fetched {
  readonly files: readonly string[];
  readonly bytes: number;
  readonly kept: number;
}

type Finished = JobDetail & { readonly result: JobResult };

export function addJobFetchCommand(job: Command): void {
  withCommon(job.command('fetch').argument('[job]'))
    .description('fetch the outputs of a finished job, or of all of a campaign')
    .option('--campaign <name>', 'all finished jobs of this campaign')
    .option('--to <directory>', 'where to put them', 'results')
    .action(action(fetchJob));
}

export function addCampaignFetchCommand(campaign: Command): void {
  withCommon(campaign.command('fetch').argument('<campaign>'))
    .description('fetch the outputs of every finished job; what is there already is kept')
    .option('--to <directory>', 'where to put them', 'results')
    .action(action((name: string, options: FetchOptions) => fetchCampaign(name, options)));
}

async function fetchJob(id: string | undefined, options: FetchOptions): Promise<number> {
  if (id === undefined) {
    if (options.campaign === undefined)
      throw new CoPilotError('INVALID_REQUEST', 'name a job, or a campaign with --campaign');
    return fetchCampaign(options.campaign, options);
  }
  const connection = await connect(resolve(options.data));
  const job = await connection.queue.show(id);
  if (!isFinished(job))
    throw new CoPilotError(
      'NOT_FOUND',
      `job ${id} has no result: it is ${job.state}; \`co-pilot job show ${id}\` says more`,
    );
  return fetchAll(connection, [job], options);
}

async function fetchCampaign(campaign: string, options: FetchOptions): Promise<number> {
  const connection = await connect(resolve(options.data));
  await connection.queue.campaign(campaign); // or NOT_FOUND, which no empty list would say
  const jobs: Finished[] = [];
  for await (const page of jobPages(connection.queue, { campaign, state: 'finished' }))
    for (const { job } of page) {
      const detail = await connection.queue.show(job);
      if (isFinished(detail)) jobs.push(detail);
    }
  return fetchAll(connection, jobs, options);
}

async function fetchAll(
  connection: Connection,
  jobs: readonly Finished[],
  options: FetchOptions,
): Promise<number> {
  const output = outputOf(options);
  const fetched = await transfer(connection, jobs, resolve(options.to), output);
  show(output, fetched, () => (fetched.files.length === 0 ? ['nothing to fetch'] : fetched.files));
  return EXIT.ok;
}

async function transfer(
  { results }: Connection,
  jobs: readonly Finished[],
  to: string,
  output: Output,
): Promise<Fetched> {
  const wanted = jobs.flatMap(({ job, result }) => result.manifest.map((file) => ({ job, result, file })));
  const bytesTotal = wanted.reduce((sum, { file }) => sum + file.size, 0);
  const progress = standardProgress(output.quiet);
  const startedMs = nodeClock.monotonicMs();
  const files: string[] = [];
  let bytes = 0;
  let moved = 0;
  let kept = 0;
  const tell = (): void =>
    progress.update(
      transferText({
        ...{ files: files.length, filesTotal: wanted.length, bytes, bytesTotal, moved },
        elapsedMs: nodeClock.monotonicMs() - startedMs,
      }),
    );
  try {
    for (const { job, result, file } of wanted) {
      const before = moved;
      const path = await results.fetch(
        { job, attempt: result.attempt },
        file,
        `${to}/${job}`,
        (count, how) => {
          bytes += count;
          if (how === 'moved') moved += count;
          tell();
        },
      );
      files.push(path);
      if (moved === before && file.size > 0) kept += 1;
      tell();
    }
  } finally {
    progress.end();
  }
  return { files, bytes, kept };
}

function isFinished(job: JobDetail): job is Finished {
  return job.result !== undefined;
}
