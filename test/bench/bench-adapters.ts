import { type AdapterHost, createAdapterHost } from '../../adapters/adapter-host.ts';
import { busAt } from '../../adapters/adapter-program.ts';
import type { JobAdapter } from '../../adapters/jobs/job-adapter.ts';
import { answerJobItem } from '../../adapters/jobs/serve.ts';
import { answerStorageItem } from '../../adapters/storage/serve.ts';
import type { StorageAdapter } from '../../adapters/storage/storage-adapter.ts';
import type { Bus } from '../../protocol/bindings/bus.ts';
import { newId } from '../../protocol/encoding.ts';
import type { Runtime } from '../../protocol/runtime/runtime.ts';
import type { AnswerBody, AskItem } from '../../protocol/session/trusted-link.ts';
import { INSTALLATION, keyIdOf, QUEUE, type ServiceName, type Stage, stageKeys } from './stage.ts';

export interface BenchAdapterOptions {
  readonly runtime: Runtime;
  readonly busUrl: string;
  readonly stage: Stage;
  readonly jobs: JobAdapter;
  readonly storage: StorageAdapter;
  /** Stands before each connection. */
  readonly around?: (bus: Bus) => Bus;
}

/** Both adapters of an installation of the bench, each with a connection and sessions of its own; answers what ends them. */
export async function startBenchAdapters(options: BenchAdapterOptions): Promise<() => Promise<void>> {
  const { runtime, busUrl, stage, jobs, storage, around = (bus) => bus } = options;
  const { crypto, clock, log } = runtime;
  const keys = stageKeys(crypto, stage);
  const host = async (
    name: ServiceName,
    onAsk: (item: AskItem) => Promise<AnswerBody>,
    onBroker: (created: AdapterHost) => void = () => undefined,
  ): Promise<AdapterHost> => {
    const created = createAdapterHost({
      runtime,
      bus: around(await busAt(busUrl, name, stage.secrets[name], runtime)),
      installation: INSTALLATION,
      name,
      start: newId(runtime.random),
      staticKey: keys[name],
      keyId: keyIdOf(name),
      brokers: [keys.session.publicKey.raw],
      onAsk,
      onBroker: () => onBroker(created),
    });
    await created.start();
    return created;
  };
  const desk = { grantKeys: () => [keys.grant.publicKey], crypto, clock, log };
  const files = await host('storage', (item) => answerStorageItem(storage, item, desk));
  const queue = await host(
    'jobs',
    (item) => answerJobItem(jobs, item),
    (created) => created.tell({ op: 'available', queue: QUEUE, count: 1 }),
  );
  jobs.onWork((work) => {
    if (work.kind === 'available') queue.tell({ op: 'available', queue: work.queue, count: work.count });
  });
  return async () => {
    await Promise.all([files.stop(), queue.stop()]);
  };
}
