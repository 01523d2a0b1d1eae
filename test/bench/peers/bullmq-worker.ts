/** BullMQ's worker in a process of its own: jobs take no time. */
import { Worker } from 'bullmq';
import { cpuMicroseconds, servePeer } from '../serve-peer.ts';
import { HOST } from '../stage.ts';

export interface BullWorkerQuestions {
  start(options: {
    readonly port: number;
    readonly queue: string;
    readonly concurrency: number;
  }): Promise<void>;
  cpu(nothing: null): number;
}

let worker: Worker | undefined;

servePeer<BullWorkerQuestions>({ start, cpu: cpuMicroseconds }, async () => {
  await worker?.close();
});

async function start(options: Parameters<BullWorkerQuestions['start']>[0]): Promise<void> {
  const { port, queue, concurrency } = options;
  worker = new Worker(queue, async () => ({ exit: 0 }), {
    connection: { host: HOST, port },
    concurrency,
  });
  worker.on('error', (error) => console.error(error));
  await worker.waitUntilReady();
}
