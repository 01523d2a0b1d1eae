/** The broker as it is run: embedded bus, ledger in its thread. */
import { join } from 'node:path';
import { startBroker, type BrokerProgram } from '../../broker/main.ts';
import { createLog } from '../../protocol/runtime/log.ts';
import { cpuMicroseconds, servePeer } from './serve-peer.ts';
import { programConfiguration, type Stage } from './stage.ts';

export interface BrokerQuestions {
  start(options: BrokerPeerOptions): Promise<{ readonly busUrl: string }>;
  cpu(nothing: null): number;
  /** Bytes the process holds, garbage collected first where it was started with `--expose-gc`. */
  memory(nothing: null): number;
}

export interface BrokerPeerOptions {
  readonly directory: string;
  readonly stage: Stage;
  readonly prefetch: number;
}

let program: BrokerProgram | undefined;

servePeer<BrokerQuestions>({ start, cpu: cpuMicroseconds, memory }, async () => {
  await program?.stop();
});

async function start({ directory, stage, prefetch }: BrokerPeerOptions): Promise<{ busUrl: string }> {
  program = await startBroker({
    directory,
    controlSocket: join(directory, 'control.sock'),
    configuration: programConfiguration(stage, prefetch),
    log: createLog('broker', { level: 'warn' }),
  });
  return { busUrl: program.busUrl };
}

function memory(): number {
  globalThis.gc?.();
  return process.memoryUsage().rss;
}
