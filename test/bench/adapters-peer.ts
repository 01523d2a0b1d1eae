/** Both adapters in one process, each with a connection and sessions of its own. */
import { createAdapterHost } from '../../adapters/adapter-host.ts';
import { busAt } from '../../adapters/adapter-program.ts';
import { answerJobItem } from '../../adapters/jobs/serve.ts';
import { answerStorageItem } from '../../adapters/storage/serve.ts';
import { newId } from '../../protocol/encoding.ts';
import { createNodeRuntime } from '../../protocol/runtime/node-runtime.ts';
import type { AnswerBody, AskItem } from '../../protocol/session/trusted-link.ts';
import { silentLog } from '../doubles/silent-log.ts';
import { createBelievingStorage } from './believing-storage.ts';
import { counted } from './counted-bus.ts';
import { createEndlessJobs } from './endless-jobs.ts';
import { cpuMicroseconds, servePeer } from './serve-peer.ts';
import { INSTALLATION, keyIdOf, QUEUE, type ServiceName, type Stage, stageKeys } from './stage.ts';

export interface AdapterQuestions {
  connect(to: { readonly busUrl: string; readonly stage: Stage }): Promise<void>;
  /** Frames that both have sent and got. */
  frames(nothing: null): number;
  cpu(nothing: null): number;
}

const runtime = createNodeRuntime(silentLog);
const jobs = createEndlessJobs(runtime.random);
const storage = createBelievingStorage();
const frames = { count: 0 };
const stops: (() => Promise<void>)[] = [];

servePeer<AdapterQuestions>({ connect, frames: () => frames.count, cpu: cpuMicroseconds }, async () => {
  await Promise.all(stops.map((stop) => stop()));
});

async function connect({ busUrl, stage }: Parameters<AdapterQuestions['connect']>[0]): Promise<void> {
  const keys = stageKeys(runtime.crypto, stage);
  const host = async (name: ServiceName, onAsk: (item: AskItem) => Promise<AnswerBody>) => {
    const created = createAdapterHost({
      runtime,
      bus: counted(await busAt(busUrl, name, stage.secrets[name], runtime), frames),
      installation: INSTALLATION,
      name,
      start: newId(runtime.random),
      staticKey: keys[name],
      keyId: keyIdOf(name),
      brokers: [keys.session.publicKey.raw],
      onAsk,
      onBroker: () => {
        if (name === 'jobs') created.tell({ op: 'available', queue: QUEUE, count: 1 });
      },
    });
    stops.push(() => created.stop());
    return created.start();
  };
  const desk = {
    grantKeys: () => [keys.grant.publicKey],
    crypto: runtime.crypto,
    clock: runtime.clock,
    log: silentLog,
  };
  await host('storage', (item) => answerStorageItem(storage, item, desk));
  await host('jobs', (item) => answerJobItem(jobs, item));
}
