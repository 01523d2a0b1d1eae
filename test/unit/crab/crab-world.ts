import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createCrabAdapter, type CrabAdapter } from '../../../adapters/jobs/crab/crab-adapter.ts';
import type { Finished, NewJob, Work } from '../../../adapters/jobs/job-adapter.ts';
import { openRefusedJobs } from '../../../adapters/jobs/kit/refused-jobs.ts';
import { openCeiling } from '../../../adapters/jobs/kit/ceiling.ts';
import { openCredentialFiles } from '../../../adapters/jobs/kit/credential-files.ts';
import { createFrameworkHttp } from '../../../adapters/jobs/kit/framework-http.ts';
import type { OptionValue } from '../../../adapters/jobs/kit/framework-kind.ts';
import { nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import type { Log } from '../../../protocol/runtime/runtime.ts';
import { createCrabClient, type CrabClient } from '../../doubles/crab/client.ts';
import { type CrabDouble, startCrabDouble } from '../../doubles/crab/crab-double.ts';
import { makeArchive } from '../../doubles/crab/archive.ts';
import { createManualClock, type ManualClock } from '../../doubles/manual-clock.ts';
import { deafAccepted } from '../../doubles/deaf-accepted.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { type SmallBridge, startSmallBridge } from '../../doubles/small-bridge.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

export const AGENT = 'b'.repeat(26);
export const USAGE = { wallSeconds: 60, cpuSeconds: 50, memoryMiB: 500, diskMiB: 10 };
export const QUEUE = 'crab';
const SITE = 'T3_CH_Volunteer';

/** What a job leaves: the code its report says, and what else is said of it. */
export interface Leaves {
  readonly exitCode?: number;
  readonly report?: string;
  readonly status?: string;
  readonly without?: readonly string[];
  readonly attempt?: number;
}

/** A CRAB server, a bridge, and the adapter between them, all on a clock that stands still. */
export interface CrabWorld {
  readonly crab: CrabDouble;
  readonly client: CrabClient;
  readonly bridge: SmallBridge;
  readonly clock: ManualClock;
  readonly work: readonly Work[];
  readonly directory: string;
  adapter(): CrabAdapter;
  /** One turn of the worker. */
  turn(): Promise<void>;
  lookAtTransfers(): Promise<void>;
  /** Jobs that are due, taken by the broker. */
  take(max?: number): Promise<readonly NewJob[]>;
  /** The job ran: files in the bridge, and the broker's news of it. */
  finish(job: NewJob, leaves?: Leaves): Promise<Finished>;
  /** States of a task's jobs as its status file has them. */
  states(task: string): Promise<readonly string[]>;
  /** Ends the adapter and starts another, which finds that file no more. */
  reopen(change?: WorldChange, lost?: string): Promise<void>;
  close(): Promise<void>;
}

export interface WorldChange {
  readonly options?: Readonly<Record<string, OptionValue>>;
  readonly attempts?: number;
  readonly log?: Log;
}

export async function openCrabWorld(change: WorldChange = {}): Promise<CrabWorld> {
  const directory = await temporaryDirectory('crab');
  const clock = createManualClock();
  const crab = await startCrabDouble({ clock, authentication: { anyone: 'alice' }, aso: { stepMs: 60_000 } });
  const bridge = await startSmallBridge();
  const wrapperFile = join(directory, 'CMSRunAnalysis.tar.gz');
  await writeFile(wrapperFile, makeArchive([{ name: 'CMSRunAnalysis.sh', content: 'exit 0\n' }]));
  const work: Work[] = [];
  let parts = await openAdapter(change);

  async function openAdapter({ options = {}, attempts = 1, log = silentLog }: WorldChange) {
    const credential = await openCredentialFiles({}, { clock, log });
    const ceiling = await openCeiling(undefined, { clock, log });
    const refused = await openRefusedJobs(join(directory, 'refused.jsonl'), { clock, log });
    const openHttp = (url: string) =>
      createFrameworkHttp({ url, credential, timeoutMs: 30_000, maxAnswerBytes: 1024 * 1024 });
    const http = await openHttp(crab.url);
    const settings = {
      kind: 'crab',
      url: crab.url,
      queues: { [QUEUE]: 'co-pilot' },
      credential: {},
      attempts,
      options: { wrapperFile, cmsSite: SITE, requirements: '', ...options },
    };
    const given = {
      clock,
      random: nodeRandom,
      log,
      name: 'crab',
      settings,
      http,
      openHttp,
      credential,
      ceiling,
      refused,
      accepted: deafAccepted,
    };
    const adapter = await createCrabAdapter({ ...given, bridge: bridge.access }, { directory });
    adapter.onWork((one) => work.push(one));
    return { adapter, http, credential, refused };
  }

  const shut = async (): Promise<void> => {
    await parts.adapter.stop();
    await parts.refused.settled();
    parts.http.stop();
    parts.credential.stop();
  };
  return {
    crab,
    client: createCrabClient(crab.url),
    bridge,
    clock,
    work,
    directory,
    adapter: () => parts.adapter,
    async turn() {
      // One that a timer began may have looked before.
      await parts.adapter.worker.turn();
      await parts.adapter.worker.turn();
    },
    async lookAtTransfers() {
      await parts.adapter.transfers.look();
      await parts.adapter.transfers.look();
    },
    async take(max = 64) {
      const { jobs } = await parts.adapter.fetch(QUEUE, max, []);
      await parts.adapter.fetch(
        QUEUE,
        1,
        jobs.map(({ job }) => job),
      );
      return jobs;
    },
    finish: (job, leaves = {}) => finish(parts.adapter, bridge, job, leaves),
    async states(task) {
      const response = await fetch(`${parts.adapter.statusUrl}/${task}/status_cache.json`);
      if (!response.ok) throw new Error(`the status file is answered with ${response.status}`);
      const { nodes } = (await response.json()) as {
        readonly nodes: Readonly<Record<string, { State?: string }>>;
      };
      return Object.values(nodes).flatMap(({ State }) => State ?? []);
    },
    async reopen(next = change, lost = '') {
      await shut();
      if (lost !== '') await rm(join(directory, lost));
      parts = await openAdapter(next);
    },
    async close() {
      await shut();
      await crab.stop();
      await bridge.stop();
      await removeDirectory(directory);
    },
  };
}

/** The declared outputs of a job, as its agent would upload them. */
function finish(
  adapter: CrabAdapter,
  bridge: SmallBridge,
  job: NewJob,
  { exitCode = 0, report, status = '0\n', without = [], attempt = 1 }: Leaves,
): Promise<Finished> {
  const content = (name: string): string => {
    if (name === 'jobReport.json') return report ?? reportOf(exitCode);
    return name === 'wrapper-status.txt' ? status : `content of ${name}`;
  };
  const names = job.description.outputs
    .map(({ name }) => name)
    .filter((name) => !without.includes(name))
    .filter((name) => exitCode === 0 || name === 'jobReport.json' || name === 'wrapper-status.txt');
  const manifest = names.map((name) => bridge.leave(job.job, attempt, name, content(name)));
  return adapter.finished(job.job, attempt, manifest, USAGE, job.state ?? '');
}

/** Of each job that ends well. */
export const REPORTED_EVENTS = 10;

export function reportOf(exitCode: number): string {
  const output = {
    pfn: 'out.root',
    fileName: 'out.root',
    output_module_class: 'PoolOutputModule',
    events: REPORTED_EVENTS,
    runs: { 1: { 1: REPORTED_EVENTS } },
    size: 1,
    checksums: { adler32: 'ffffffff', cksum: '1' },
    pset_hash: 'a'.repeat(32),
  };
  return JSON.stringify({
    exitAcronym: exitCode === 0 ? 'OK' : 'FAILED',
    exitCode,
    exitMsg: exitCode === 0 ? 'OK' : 'An exception of category ProductNotFound',
    jobExitCode: exitCode,
    steps: { cmsRun: { output: exitCode === 0 ? { out: [output] } : {}, errors: [] } },
  });
}
