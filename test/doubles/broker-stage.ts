import { createAdapterHost } from '../../adapters/adapter-host.ts';
import type { JobAdapter } from '../../adapters/jobs/job-adapter.ts';
import { createMemoryJobAdapter, type MemoryJob, type MemoryJobAdapter } from '../../adapters/jobs/memory.ts';
import { answerJobItem } from '../../adapters/jobs/serve.ts';
import { createMemoryStorage, type MemoryStorage } from '../../adapters/storage/memory.ts';
import { answerStorageItem } from '../../adapters/storage/serve.ts';
import { createMemoryLedger, createMemoryStore } from '../../broker/ledger/memory.ts';
import type { LedgerKeeping } from '../../broker/ledger/keeping.ts';
import type { Ledger } from '../../broker/ledger/ledger.ts';
import type { Evict } from '../../broker/service/evictions.ts';
import { type Broker, createBroker } from '../../broker/service/broker.ts';
import { type BrokerConfiguration, DEFAULT_LIMITS } from '../../broker/service/configuration.ts';
import { createMemoryNetwork, type MemoryNetwork } from '../../protocol/bindings/memory.ts';
import { base64url, idOf, newId } from '../../protocol/encoding.ts';
import type { Description, Identity } from '../../protocol/generated/types.ts';
import { createCrypto } from '../../protocol/runtime/node-runtime.ts';
import type { Crypto, PrivateKey, Runtime } from '../../protocol/runtime/runtime.ts';
import { signIdentity } from '../../protocol/tokens.ts';
import { createManualClock, type ManualClock } from './manual-clock.ts';
import { createSeededRandom } from './seeded-random.ts';
import { silentLog } from './silent-log.ts';

export const STAGE = 'example';
const QUEUE = 'local';
const IDENTITY_SECONDS = 86_400;

/** A program whose sessions are looked into. */
export type Party = 'agent' | 'broker' | 'jobs' | 'storage';

export interface BrokerStageOptions {
  readonly seed: number;
  readonly configuration?: Partial<BrokerConfiguration>;
  readonly evict?: Evict;
  /** Instead of the stage's own. */
  readonly keys?: Partial<BrokerConfiguration['keys']>;
  /** Stands before the framework's adapter. */
  readonly adapt?: (framework: JobAdapter) => JobAdapter;
  /** Stands between all parties. */
  readonly tap?: (network: MemoryNetwork) => MemoryNetwork;
  /** Stands before one program's cryptography, to see every plaintext. */
  readonly wrapCrypto?: (party: Party, crypto: Crypto, clock: ManualClock) => Crypto;
}

/** What an agent has after its enrolment. */
export interface Enrolled {
  readonly agent: string;
  readonly session: PrivateKey;
  readonly signing: PrivateKey;
  readonly identity: string;
  readonly claims: Identity;
}

/** The real broker between memory twins of both adapters, on a clock moved by hand; agents are the test's. */
export interface BrokerStage {
  readonly clock: ManualClock;
  readonly network: MemoryNetwork;
  readonly framework: MemoryJobAdapter;
  readonly storage: MemoryStorage;
  readonly broker: Broker;
  readonly ledger: Ledger & LedgerKeeping;
  readonly certifier: PrivateKey;
  readonly identityKey: PrivateKey;
  readonly brokerKey: PrivateKey;
  readonly adapterKeys: Readonly<Record<'jobs' | 'storage', PrivateKey>>;
  runtimeOf(party: Party): Runtime;
  enrol(change?: Partial<Identity>): Enrolled;
  submit(job?: Partial<MemoryJob>, description?: Partial<Description>): string;
  stop(): Promise<void>;
}

export async function createBrokerStage(options: BrokerStageOptions): Promise<BrokerStage> {
  const clock = createManualClock();
  const random = createSeededRandom(options.seed);
  const plain = createCrypto(random);
  const made = createMemoryNetwork({ clock, random, faults: { delayMs: [5, 5] } });
  const network = options.tap?.(made) ?? made;
  const keys = {
    session: plain.generate('x25519'),
    grant: plain.generate('ed25519'),
    certifier: plain.generate('ed25519'),
    identity: plain.generate('p256'),
    jobs: plain.generate('x25519'),
    storage: plain.generate('x25519'),
  };
  const runtimeOf = (party: Party): Runtime => {
    const crypto = options.wrapCrypto?.(party, plain, clock) ?? plain;
    return { clock, random, crypto, log: silentLog };
  };
  const framework = createMemoryJobAdapter({ clock, random });
  const storage = createMemoryStorage({
    clock,
    crypto: plain,
    ceiling: { maxFileBytes: 1e9, maxAttemptBytes: 1e10, maxTotalBytes: 1e12, verbs: ['get', 'put'] },
  });
  const ledger = createMemoryLedger({ clock, store: createMemoryStore() });
  const adapter = options.adapt?.(framework) ?? framework;
  const stops = await startAdapters();
  const broker = await startBroker();
  await clock.run(1_000);

  async function startAdapters(): Promise<readonly (() => Promise<void>)[]> {
    const jobs = createAdapterHost({
      ...hostParts('jobs', 1),
      onAsk: (item) => answerJobItem(adapter, item),
      onBroker: () => jobs.tell({ op: 'available', queue: QUEUE, count: 1 }),
    });
    framework.onWork((work) =>
      jobs.tell(
        work.kind === 'kill'
          ? { op: 'kill', job: work.job, reason: work.reason }
          : { op: 'available', queue: work.queue, count: work.count },
      ),
    );
    const desk = { grantKeys: () => [keys.grant.publicKey], crypto: plain, clock, log: silentLog };
    const files = createAdapterHost({
      ...hostParts('storage', 2),
      onAsk: (item) => answerStorageItem(storage, item, desk),
      onBroker: () => undefined,
    });
    await jobs.start();
    await files.start();
    return [() => jobs.stop(), () => files.stop()];
  }

  function hostParts(name: 'jobs' | 'storage', keyId: number) {
    return {
      runtime: runtimeOf(name),
      bus: network.bus(`service.${name}`),
      installation: STAGE,
      name,
      start: newId(random),
      staticKey: keys[name],
      keyId,
      brokers: [keys.session.publicKey.raw],
    };
  }

  async function startBroker(): Promise<Broker> {
    const started = createBroker({
      runtime: runtimeOf('broker'),
      configuration: { ...configuration(), ...options.configuration },
      bus: network.bus('broker'),
      ledger,
      ...(options.evict && { evict: options.evict }),
      sessionLimits: { handshakes: { burst: 100, everyMs: 100 } },
    });
    await started.start();
    return started;
  }

  function configuration(): BrokerConfiguration {
    const { session, grant, certifier, identity } = keys;
    return {
      installation: STAGE,
      instance: 'broker-1',
      start: newId(random),
      keys: { session, grant, certifier, identity: identity.publicKey, ...options.keys },
      queues: [
        {
          name: QUEUE,
          jobAdapter: 'jobs',
          storageAdapter: 'storage',
          leaseMs: 900_000,
          firstRenewMs: 60_000,
          maxLost: 5,
          prefetch: 8,
        },
      ],
      services: [
        { name: 'jobs', key: keys.jobs.publicKey, keyId: 1 },
        { name: 'storage', key: keys.storage.publicKey, keyId: 2 },
      ],
      limits: DEFAULT_LIMITS,
      sweepMs: 5_000,
      parkMs: 55_000,
      verdictWaitMs: 2_000,
      maxParked: 1000,
    };
  }

  function enrol(change: Partial<Identity> = {}): Enrolled {
    const session = plain.generate('x25519');
    const signing = plain.generate('ed25519');
    const sig = base64url(signing.publicKey.raw);
    const iat = Math.floor(clock.wallMs() / 1000);
    const claims: Identity = {
      iss: STAGE,
      sub: idOf((data) => plain.sha256(data), `co-pilot-agent-1\n${STAGE}\n${sig}`),
      owner: 'somebody',
      site: 'home',
      tier: 'untrusted',
      sig,
      kex: base64url(session.publicKey.raw),
      iat,
      exp: iat + IDENTITY_SECONDS,
      ...change,
    };
    return {
      agent: claims.sub,
      session,
      signing,
      identity: signIdentity(plain, keys.identity, claims),
      claims,
    };
  }

  function submit(job: Partial<MemoryJob> = {}, description: Partial<Description> = {}): string {
    const whole: MemoryJob = {
      ref: 'job-1',
      owner: 'physicist',
      site: 'home',
      campaign: 'z-boson',
      priority: 0,
      retries: 2,
      ...job,
      description: {
        command: 'generate',
        arguments: [],
        environment: {},
        inputs: [],
        outputs: [{ name: 'events.dat' }],
        limits: { wallSeconds: 3600, memoryMiB: 512, diskMiB: 100 },
        requirements: '',
        ...description,
      },
    };
    const [id] = framework.submit(QUEUE, [whole]);
    if (id === undefined) throw new Error('no job was made');
    return id;
  }

  return {
    clock,
    network,
    framework,
    storage,
    broker,
    ledger,
    certifier: keys.certifier,
    identityKey: keys.identity,
    brokerKey: keys.session,
    adapterKeys: { jobs: keys.jobs, storage: keys.storage },
    runtimeOf,
    enrol,
    submit,
    async stop() {
      await broker.stop();
      for (const stop of stops) await stop();
    },
  };
}
