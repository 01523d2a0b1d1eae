/** Both adapters in one process. */
import { createNodeRuntime } from '../../protocol/runtime/node-runtime.ts';
import { silentLog } from '../doubles/silent-log.ts';
import { createBelievingStorage } from './believing-storage.ts';
import { startBenchAdapters } from './bench-adapters.ts';
import { counted } from './counted-bus.ts';
import { createEndlessJobs } from './endless-jobs.ts';
import { cpuMicroseconds, servePeer } from './serve-peer.ts';
import type { Stage } from './stage.ts';

export interface AdapterQuestions {
  connect(to: { readonly busUrl: string; readonly stage: Stage }): Promise<void>;
  /** Frames that both have sent and got. */
  frames(nothing: null): number;
  cpu(nothing: null): number;
}

const runtime = createNodeRuntime(silentLog);
const frames = { count: 0 };
let stop = async (): Promise<void> => undefined;

servePeer<AdapterQuestions>({ connect, frames: () => frames.count, cpu: cpuMicroseconds }, () => stop());

async function connect(to: Parameters<AdapterQuestions['connect']>[0]): Promise<void> {
  stop = await startBenchAdapters({
    ...to,
    runtime,
    jobs: createEndlessJobs(runtime.random),
    storage: createBelievingStorage(),
    around: (bus) => counted(bus, frames),
  });
}
