/** graphile-worker, producer and worker in one process: only the worker hears, from its own events, that a job's end is in the database. */
import { Logger, makeWorkerUtils, run as runWorker, type Runner, type WorkerUtils } from 'graphile-worker';
import type { LoadResult } from '../load-result.ts';
import { cpuMicroseconds, servePeer } from '../serve-peer.ts';
import { newJob } from '../stage.ts';
import { closedLoop } from './closed-loop.ts';
import { Completions } from './completions.ts';

export interface GraphileQuestions {
  start(options: { readonly url: string; readonly concurrency: number }): Promise<void>;
  run(order: { readonly inFlight: number; readonly seconds: number }): Promise<LoadResult>;
  cpu(nothing: null): number;
}

const TASK = 'run';
const CONNECTIONS = 20;
const quiet = new Logger(() => () => undefined);
const completions = new Completions();
let utils: WorkerUtils | undefined;
let runner: Runner | undefined;
let lastJob = 0;

servePeer<GraphileQuestions>({ start, run, cpu: cpuMicroseconds }, async () => {
  await runner?.stop();
  await utils?.release();
});

async function start({ url, concurrency }: Parameters<GraphileQuestions['start']>[0]): Promise<void> {
  const connection = { connectionString: url, maxPoolSize: CONNECTIONS, logger: quiet };
  utils = await makeWorkerUtils(connection);
  await utils.migrate();
  runner = await runWorker({
    ...connection,
    concurrency,
    noHandleSignals: true,
    taskList: { [TASK]: async () => undefined },
  });
  runner.events.on('job:complete', ({ job }) => completions.ended(job.key ?? ''));
}

function run({ inFlight, seconds }: Parameters<GraphileQuestions['run']>[0]): Promise<LoadResult> {
  return closedLoop(inFlight, seconds, runJob);
}

async function runJob(): Promise<void> {
  const key = `job-${++lastJob}`;
  const ended = completions.of(key);
  await utils?.addJob(TASK, newJob(key), { jobKey: key });
  await ended;
}
