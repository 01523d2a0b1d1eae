import { join } from 'node:path';
import { createNodeRuntime } from '../../../protocol/runtime/node-runtime.ts';
import { createSnapshotDesk } from '../../../protocol/runtime/snapshot-desk.ts';
import type { Log } from '../../../protocol/runtime/runtime.ts';
import type { AdapterConfiguration } from '../../adapter-configuration.ts';
import { type AnswerAsk, connectAdapter } from '../../adapter-program.ts';
import { answerJobItem } from '../serve.ts';
import { createControl } from './control.ts';
import { createLocalAdapter } from './local-adapter.ts';
import { openLocalQueue } from './local-queue.ts';

export interface LocalProgramOptions {
  /** The adapter's own directory, 0700: its queue. */
  readonly directory: string;
  /** Path of the socket jobs are submitted by; its directory is this user's alone. */
  readonly controlSocket: string;
  readonly configuration: AdapterConfiguration;
  readonly log: Log;
  /** Stands around every answer to the broker. */
  readonly around?: (answer: AnswerAsk) => AnswerAsk;
}

/** Starts the local job adapter: a durable queue, its control socket, and its line to the broker. */
export async function startLocalAdapter({
  directory,
  controlSocket,
  configuration,
  log,
  around = (answer) => answer,
}: LocalProgramOptions): Promise<{ stop(): Promise<void> }> {
  const runtime = createNodeRuntime(log);
  const queue = await openLocalQueue({ path: join(directory, 'queue.sqlite'), random: runtime.random, log });
  const adapter = createLocalAdapter({ queue });
  const snapshots = createSnapshotDesk({ directory, log, files: { 'queue.sqlite': queue.snapshot } });
  const control = createControl({ queue, path: controlSocket, snapshots, log });
  const tellWaiting = (): void => {
    for (const [name, count] of queue.waiting()) host.tell({ op: 'available', queue: name, count });
  };
  const host = connectAdapter({
    runtime,
    configuration,
    onAsk: around((item) => answerJobItem(adapter, item)),
    onBroker: () => {
      queue.brokerCame();
      tellWaiting();
    },
  });
  adapter.onWork((work) => {
    if (work.kind === 'kill') host.tell({ op: 'kill', job: work.job, reason: work.reason });
    else host.tell({ op: 'available', queue: work.queue, count: work.count });
  });
  const stop = async (): Promise<void> => {
    adapter.stop();
    await host.stop();
    await control.stop();
    await queue.close();
  };
  try {
    await control.start();
  } catch (caught) {
    await stop();
    throw caught;
  }
  // The broker may come later; until then the queue takes jobs all the same.
  host.start().catch((caught: unknown) => log.error({ err: caught }, 'the bus cannot be reached'));
  return { stop };
}
