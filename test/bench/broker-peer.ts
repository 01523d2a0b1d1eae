/** The broker as it is run: embedded bus, ledger in its thread. */
import { mkdir } from 'node:fs/promises';
import { startBroker, type BrokerProgram } from '../../broker/main.ts';
import { controlSocket, roleDirectory } from '../../cli/installation.ts';
import { createLog } from '../../protocol/runtime/log.ts';
import { cpuMicroseconds, servePeer } from './serve-peer.ts';
import type { BenchServer } from './buses/bench-server.ts';
import { programConfiguration, type Stage } from './stage.ts';

export interface BrokerQuestions {
  start(options: BrokerPeerOptions): Promise<{ readonly busUrl: string }>;
  cpu(nothing: null): number;
  /** Bytes after everything that can be collected was; needs `--expose-gc` to be exact. */
  memory(nothing: null): Promise<{ readonly heap: number; readonly resident: number }>;
}

export interface BrokerPeerOptions {
  readonly directory: string;
  readonly stage: Stage;
  readonly prefetch: number;
  /** What is said of the bus where it is not embedded. */
  readonly server?: Partial<BenchServer['broker']>;
}

let program: BrokerProgram | undefined;

servePeer<BrokerQuestions>({ start, cpu: cpuMicroseconds, memory }, async () => {
  await program?.stop();
});

async function start(options: BrokerPeerOptions): Promise<{ busUrl: string }> {
  const { directory, stage, prefetch, server } = options;
  // Where commands look for it.
  await mkdir(roleDirectory(directory, 'broker'), { mode: 0o700 });
  program = await startBroker({
    directory,
    controlSocket: controlSocket(directory, 'broker'),
    configuration: { ...programConfiguration(stage, prefetch), ...server },
    log: createLog('broker', { level: 'warn' }),
  });
  return { busUrl: program.busUrl };
}

async function memory(): Promise<{ heap: number; resident: number }> {
  for (let round = 0; round < 3; round += 1) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const { heapUsed, rss } = process.memoryUsage();
  return { heap: heapUsed, resident: rss };
}
