import { join } from 'node:path';
import { CoPilotError, toCoPilotError } from '../../../protocol/errors.ts';
import { mkdir, rm } from 'node:fs/promises';
import { createHandedJobs } from '../kit/handed-jobs.ts';
import type { FrameworkAdapter, FrameworkParts } from '../kit/framework-adapter.ts';
import type { FrameworkHttp } from '../kit/framework-http.ts';
import { createInputStore } from '../kit/input-store.ts';
import { openJobJournal } from '../kit/job-journal.ts';
import { oneAtATime } from '../kit/one-at-a-time.ts';
import { repeatEvery } from '../kit/repeat-every.ts';
import { createResultReader } from '../kit/result-reader.ts';
import type { FailedAttempt, NewJob, Work } from '../job-adapter.ts';
import { type AlienOptions, alienOptions } from './alien-options.ts';
import type { Catalogue } from './catalogue.ts';
import { type AlienJob, type Central, endJob } from './central.ts';
import { createClassicCentral } from './classic-central.ts';
import { describeJob } from './describe-job.ts';
import { createDirectoryCatalogue } from './directory-catalogue.ts';
import { createFileTransfer } from './file-transfer.ts';
import { finishJob } from './finish-job.ts';
import type { HostClass } from './host-ad.ts';
import { createJalienCatalogue } from './jalien-catalogue.ts';
import { createJobInputs, type JobInputs } from './job-inputs.ts';
import { OUTPUTS_NAME, SCRIPT_NAME, STATUS_NAME } from './job-script.ts';
import { createJobSource } from './job-source.ts';
import { openState, sealState } from './job-state.ts';
import { createLifeSigns } from './life-signs.ts';
import { JOURNAL_FILE, type MatchedJob, readMatchedJob } from './matched-job.ts';
import { openJalien } from './open-jalien.ts';
import { createSideCentral } from './side-central.ts';
import { storeBySide } from './side-storing.ts';
import { openSealedState, type SealedState } from './sealed-state.ts';

/** Most of one failure that goes into a job's log. */
const MOST_LOG_TEXT = 1000;

/** The adapter of AliEn: jobs by one of its ways, files by its catalogue. `directory` is its own, 0700. */
export async function createAlienAdapter(
  parts: FrameworkParts,
  directory: string,
): Promise<FrameworkAdapter> {
  const { clock, log, settings, bridge } = parts;
  const options = alienOptions(settings);
  if (bridge === undefined)
    throw new CoPilotError(
      'INVALID_CONFIGURATION',
      'the alien framework needs the Data Bridge: set `bridge`',
    );
  const work = join(directory, 'work');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { mode: 0o700 });
  const sealed = await openSealedState(join(directory, 'state.key'));
  const journal = await openJobJournal({ path: join(directory, JOURNAL_FILE), read: readMatchedJob });
  const central = await openCentral(parts, options);
  const catalogue = await openCatalogue(parts, options, work);
  const results = createResultReader(bridge);
  const inputs = createJobInputs({ clock, catalogue, store: createInputStore(bridge), directory: work });
  const handed = createHandedJobs({
    clock,
    accepted: parts.accepted,
    maxUnfinished: () => parts.ceiling.current().jobs,
    onRoom: () => {
      for (const queue of Object.keys(settings.queues)) handler?.({ kind: 'available', queue, count: 1 });
    },
  });
  const inTurn = oneAtATime();
  const over = new Set<string>();
  let handler: ((work: Work) => void) | undefined;

  const jobOf = (state: string): AlienJob | undefined => openState(sealed, state)?.job;
  const kill = (job: string): void => {
    over.add(job);
    const [oldest] = over;
    if (over.size > MOST_OVER && oldest !== undefined) over.delete(oldest);
    handler?.({ kind: 'kill', job, reason: 'AliEn has ended the job' });
  };
  const signs = createLifeSigns({
    clock,
    log,
    central,
    jobOf,
    everyMs: options.heartbeatSeconds * 1000,
    waitMs: options.waitSeconds * 1000,
    onOver: kill,
  });
  const classes = new Map(
    Object.entries(settings.queues).map(([queue, ce]): [string, HostClass] => [
      queue,
      { ...options.hosts, ce },
    ]),
  );
  const source = createJobSource({
    clock,
    log,
    server: settings.url,
    central,
    handed,
    journal,
    hosts: (queue) => classes.get(queue),
    pollMs: options.pollSeconds * 1000,
    onAccepted(job, state) {
      handed.accept([job]);
      signs.waits({ job, attempt: 0, progress: 0, state });
    },
    prepare: (id, matched, known) => newJob({ id, matched, known, options, sealed, inputs, parts }),
    refused: parts.refused,
  });
  source.resume();
  /** The queue says nothing unasked. */
  const stopLooking = repeatEvery(
    { clock, log, everyMs: options.lookSeconds * 1000, failure: 'the queue was not asked for jobs' },
    async () => {
      for (const queue of Object.keys(settings.queues)) {
        const count = handed.waiting(queue) + (await source.waiting(queue));
        if (count > 0) handler?.({ kind: 'available', queue, count });
      }
    },
  );

  /** Tells the queue, and the broker where the job is no longer ours. */
  const advance = async (job: string, known: AlienJob, to: string): Promise<void> => {
    if ((await central.setStatus(known, { to })) === 'over') kill(job);
  };

  /** The job as AliEn names it; nothing for one that is not ours, or of which late news come. */
  const live = (job: string, state: string): AlienJob | undefined => {
    const known = jobOf(state);
    if (known === undefined || handed.isOver(job)) return undefined;
    handed.accept([job]);
    if (!over.has(job)) return known;
    kill(job);
    return undefined;
  };
  const accept = async (jobs: readonly string[]): Promise<void> => {
    const written = jobs.map(async (job) => {
      const state = handed.find(job)?.state;
      if (state === undefined) return;
      signs.waits({ job, attempt: 0, progress: 0, state });
      await journal.waits(job, state);
    });
    handed.accept(jobs);
    await Promise.all(written);
  };
  const end = async (job: string): Promise<void> => {
    signs.ended(job, Number.MAX_SAFE_INTEGER);
    handed.end(job);
    over.delete(job);
    await journal.remove(job);
  };

  return {
    fetch: (queue, max, accepted) =>
      inTurn(async () => {
        await accept(accepted);
        const isFull = await source.fill(queue, max).catch((caught: unknown) => {
          // What was taken before is handed over all the same; without any, the broker hears why.
          if (handed.waiting(queue) === 0) throw caught;
          log.warn({ code: toCoPilotError(caught).code }, 'the queue cannot be asked for now');
          return false;
        });
        const fetched = handed.take(queue, max);
        return {
          jobs: fetched.jobs,
          more: fetched.more || (isFull && fetched.jobs.length === max && max > 0),
        };
      }),
    async started(job, attempt, _agent, state) {
      const known = live(job, state);
      if (known === undefined) return;
      await advance(job, known, 'STARTED');
      await advance(job, known, 'RUNNING');
      signs.runs({ job, attempt, progress: 0, state });
      await journal.remove(job);
    },
    async renewed(job, attempt, progress, state) {
      if (live(job, state) !== undefined) signs.runs({ job, attempt, progress, state });
    },
    async released(job, attempt, reason, state) {
      const known = live(job, state);
      if (known === undefined) return;
      signs.ended(job, attempt);
      signs.waits({ job, attempt, progress: 0, state });
      await journal.waits(job, state);
      const why = reason.slice(0, 200);
      const text = `Co-Pilot: attempt ${attempt} ended without a result (${why}); the job waits for another machine`;
      await central.write([{ job: known, tag: 'trace', text }]);
    },
    async finished(job, attempt, manifest, _usage, state) {
      const known = openState(sealed, state);
      if (known === undefined) return 'refused';
      const options = { central, catalogue, results, directory: work };
      const answer = await finishJob(options, known, { job, attempt, manifest });
      await end(job);
      return answer;
    },
    async failed(job, outcome, reason, attempts, state) {
      const known = jobOf(state === '' ? (handed.find(job)?.state ?? '') : state);
      if (known === undefined) return;
      const to = outcome === 'cancelled' ? 'KILLED' : errorOf(attempts);
      await central.write(failureLines(known, reason, attempts));
      await endJob(central, known, { to });
      await end(job);
    },
    onWork(next) {
      handler = next;
    },
    unfinished: () => handed.unfinished(),
    async stop() {
      await stopLooking();
      await signs.stop();
      await catalogue.stop();
      await journal.close();
    },
  };
}

const MOST_OVER = 10_000;

/** AliEn's word for how the last attempt ended. */
function errorOf(attempts: readonly FailedAttempt[]): string {
  const exit = attempts.at(-1)?.exit;
  return exit?.kind === 'failed' && /input/.test(exit.reason) ? 'ERROR_IB' : 'ERROR_E';
}

function failureLines(
  job: AlienJob,
  reason: string,
  attempts: readonly FailedAttempt[],
): readonly { readonly job: AlienJob; readonly tag: string; readonly text: string }[] {
  const tails = attempts.slice(-4).map(({ attempt, reason: why, logTail }) => ({
    job,
    tag: 'trace',
    text: `Co-Pilot: attempt ${attempt}: ${why.slice(0, 200)}: ${logTail.slice(-MOST_LOG_TEXT)}`,
  }));
  return [...tails, { job, tag: 'error', text: `Co-Pilot: ${reason.slice(0, MOST_LOG_TEXT)}` }];
}

interface Making {
  readonly id: string;
  readonly matched: MatchedJob;
  readonly known: HostClass;
  readonly options: AlienOptions;
  readonly sealed: SealedState;
  readonly inputs: JobInputs;
  readonly parts: FrameworkParts;
}

function jobIn({ id, token, user, ce }: MatchedJob): AlienJob {
  return { id, token, user, ce };
}

async function newJob({ id, matched, known, options, sealed, inputs, parts }: Making): Promise<NewJob> {
  const job = jobIn(matched);
  const described = describeJob(matched.jdl, job, known, options.requirements);
  const state = sealState(sealed, { job, outputs: described.outputs });
  const made: NewJob = {
    job: id,
    ref: matched.id,
    owner: nameOf(described.environment['ALIEN_USER'] ?? matched.user),
    site: nameOf(known.ce),
    campaign: nameOf(`alien-${described.master ?? matched.id}`),
    priority: 0,
    retries: Math.max(0, parts.settings.attempts - 1),
    description: {
      command: `./${SCRIPT_NAME}`,
      arguments: [described.executable, described.validation ?? '-', ...described.arguments],
      environment: described.environment,
      inputs: [...(await inputs.prepare(described))],
      outputs: [{ name: STATUS_NAME }, { name: OUTPUTS_NAME }],
      limits: described.limits,
      requirements: described.requirements,
    },
    state,
  };
  const fault = parts.ceiling.fault(made);
  if (fault !== undefined) throw new CoPilotError('INVALID_REQUEST', fault);
  return made;
}

function nameOf(text: string): string {
  const name = text
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, '');
  return name.slice(0, 64).replace(/[^a-z0-9]+$/, '') || 'alien';
}

async function openCentral(parts: FrameworkParts, options: AlienOptions): Promise<Central> {
  const open = async (url: string | undefined): Promise<FrameworkHttp> =>
    url === undefined ? parts.http : parts.openHttp(url);
  if (options.way === 'side') return createSideCentral(parts.http, options.hosts.host);
  const clusterMonitor =
    options.clusterMonitor === undefined ? undefined : await open(options.clusterMonitor);
  return createClassicCentral({
    clock: parts.clock,
    broker: await open(options.broker),
    manager: await open(options.manager),
    jobInfo: await open(options.jobInfo),
    ...(clusterMonitor && { clusterMonitor }),
    user: options.user,
    host: options.hosts.host,
  });
}

const COMMAND_MS = 120_000;
const TRANSFER_MS = 3_600_000;

async function openCatalogue(
  parts: FrameworkParts,
  { way, catalogueDirectory, jalien, xrdcp }: AlienOptions,
  directory: string,
): Promise<Catalogue> {
  const transfer = createFileTransfer({ xrdcp, timeoutMs: TRANSFER_MS, directory });
  const open = async (): Promise<Catalogue> => {
    if (catalogueDirectory !== undefined) return createDirectoryCatalogue(catalogueDirectory);
    return createJalienCatalogue(await openJalien(jalien ?? '', parts, COMMAND_MS), transfer);
  };
  const catalogue = await open();
  return way === 'side' ? { ...catalogue, store: storeBySide(parts.http, transfer) } : catalogue;
}
