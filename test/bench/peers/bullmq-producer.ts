/** Adds jobs to BullMQ's queue, and hears of their ends by its event stream: both are BullMQ's own way. */
import { Queue, QueueEvents } from 'bullmq';
import type { LoadResult } from '../load-result.ts';
import { cpuMicroseconds, servePeer } from '../serve-peer.ts';
import { HOST, newJob } from '../stage.ts';
import { closedLoop } from './closed-loop.ts';
import { Completions } from './completions.ts';

export interface BullProducerQuestions {
  start(options: { readonly port: number; readonly queue: string }): Promise<void>;
  run(order: { readonly inFlight: number; readonly seconds: number }): Promise<LoadResult>;
  cpu(nothing: null): number;
}

const completions = new Completions();
let queue: Queue | undefined;
let events: QueueEvents | undefined;
let lastJob = 0;

servePeer<BullProducerQuestions>({ start, run, cpu: cpuMicroseconds }, async () => {
  await events?.close();
  await queue?.close();
});

async function start(options: Parameters<BullProducerQuestions['start']>[0]): Promise<void> {
  const connection = { host: HOST, port: options.port };
  queue = new Queue(options.queue, { connection });
  events = new QueueEvents(options.queue, { connection });
  events.on('completed', ({ jobId }) => completions.ended(jobId));
  await Promise.all([queue.waitUntilReady(), events.waitUntilReady()]);
}

function run({ inFlight, seconds }: Parameters<BullProducerQuestions['run']>[0]): Promise<LoadResult> {
  return closedLoop(inFlight, seconds, runJob);
}

async function runJob(): Promise<void> {
  const jobId = `job-${++lastJob}`;
  const ended = completions.of(jobId);
  await queue?.add('run', newJob(jobId), { jobId, removeOnComplete: true });
  await ended;
}
