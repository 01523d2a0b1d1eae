import { createAdapterHost } from '../../adapters/adapter-host.ts';
import { createMemoryJobAdapter, type MemoryJobAdapter } from '../../adapters/jobs/memory.ts';
import { answerJobItem } from '../../adapters/jobs/serve.ts';
import { createMemoryStorage, type MemoryStorage } from '../../adapters/storage/memory.ts';
import { answerStorageItem } from '../../adapters/storage/serve.ts';
import { createMemoryLauncher } from '../../agent/executors/memory-launcher.ts';
import type { Launcher } from '../../agent/executors/launcher.ts';
import { createAgent } from '../../agent/loop/agent.ts';
import {
  createMemoryStore as createAgentStore,
  type MemoryStore as AgentStore,
} from '../../agent/store/memory.ts';
import { createMemoryTransfers } from '../../agent/transfers/memory.ts';
import { createMemoryLedger, createMemoryStore, type MemoryLedger } from '../../broker/ledger/memory.ts';
import { createBroker } from '../../broker/service/broker.ts';
import { DEFAULT_LIMITS, type BrokerConfiguration } from '../../broker/service/configuration.ts';
import { invariants } from '../../broker/core/invariants.ts';
import type { Bus } from '../../protocol/bindings/bus.ts';
import { createJointBus } from '../../protocol/bindings/joint-bus.ts';
import { createMemoryNetwork, type Faults, type MemoryNetwork } from '../../protocol/bindings/memory.ts';
import { createMovingBus, type MovingBus } from '../../protocol/bindings/moving-bus.ts';
import { base64url, hex, idOf, newId } from '../../protocol/encoding.ts';
import type { Description, NewJob } from '../../protocol/generated/types.ts';
import { createCrypto } from '../../protocol/runtime/node-runtime.ts';
import type { PrivateKey, Runtime } from '../../protocol/runtime/runtime.ts';
import { signIdentity } from '../../protocol/tokens.ts';
import { createManualClock } from '../doubles/manual-clock.ts';
import { createSeededRandom } from '../doubles/seeded-random.ts';
import { type SimulatedProcess, simulatedProcess } from './simulated-process.ts';

const INSTALLATION = 'simulated';
const QUEUE = 'main';
const SITE = 'home';
const IDENTITY_SECONDS = 7 * 24 * 3600;
const HANDSHAKES = { handshakes: { burst: 50, everyMs: 500 }, hints: { burst: 50, everyMs: 500 } };

export interface WorldOptions {
  readonly seed: number;
  readonly agents: number;
  readonly jobs: number;
  readonly faults: Partial<Faults>;
  /** With two, broker and adapters are on both, and agents move between them; one where it is left out. */
  readonly buses?: 1 | 2;
}

const DOORS = ['first', 'second'] as const;

/** Keys outlive every crash, as files do. */
interface AgentIdentity {
  readonly session: PrivateKey;
  readonly signing: PrivateKey;
  readonly identity: string;
  readonly store: AgentStore;
  /** What the machine does to a job it runs. */
  readonly honesty: 'honest' | 'corrupts';
}

/**
 * A whole installation on a simulated clock and network: broker, both adapters and agents run the code of production over the
 * ports' memory twins. Everything that happens follows from the seed.
 */
export function createWorld(options: WorldOptions) {
  const clock = createManualClock();
  const random = createSeededRandom(options.seed);
  const crypto = createCrypto(random);
  const lines: string[] = [];
  const journal = (line: string): void => {
    lines.push(line);
  };
  const errors: unknown[] = [];
  const openNetwork = (): MemoryNetwork =>
    createMemoryNetwork({ clock, random, faults: options.faults, onError: (error) => errors.push(error) });
  const network = openNetwork();
  const networks = options.buses === 2 ? [network, openNetwork()] : [network];
  /** How often agents came to each bus. */
  const arrivals = networks.map(() => 0);

  /** For whoever is on all buses at once. */
  function busOf(address: string, { log }: Runtime): Bus {
    if (networks.length === 1) return network.bus(address);
    const doors = networks.map((each, at) => ({ name: DOORS[at] ?? '', bus: each.bus(address) }));
    return createJointBus({ doors, needs: 'all', log });
  }

  function movingBus(address: string, runtime: Runtime): MovingBus {
    return createMovingBus({
      ...runtime,
      urls: () => networks.map((_, at) => `${DOORS[at]}:`),
      async open(url) {
        const at = url === `${DOORS[0]}:` ? 0 : 1;
        arrivals[at] = (arrivals[at] ?? 0) + 1;
        return Object.assign((networks[at] ?? network).bus(address), {
          identityRenewed: async () => undefined,
        });
      },
    });
  }

  const keys = {
    session: crypto.generate('x25519'),
    grant: crypto.generate('ed25519'),
    certifier: crypto.generate('ed25519'),
    identity: crypto.generate('p256'),
    jobs: crypto.generate('x25519'),
    storage: crypto.generate('x25519'),
  };
  const framework: MemoryJobAdapter = createMemoryJobAdapter({
    clock,
    random: createSeededRandom(options.seed + 1),
  });
  const storage: MemoryStorage = createMemoryStorage({
    clock,
    crypto,
    ceiling: { maxFileBytes: 1e9, maxAttemptBytes: 1e10, maxTotalBytes: 1e12, verbs: ['get', 'put'] },
    delayMs: () => 1 + byte(random) / 32,
  });
  const ledgerStore = createMemoryStore();
  const processes = new Map<string, SimulatedProcess>();
  let starts = 0;
  let ledger: MemoryLedger;

  function byte(source: { bytes(length: number): Uint8Array }): number {
    return source.bytes(1)[0] ?? 0;
  }

  /** A new start of a program; an earlier one at the same address is dead from now on. */
  function begin(address: string): SimulatedProcess {
    kill(address);
    starts += 1;
    const process = simulatedProcess(address, clock, options.seed * 1000 + starts, journal);
    processes.set(address, process);
    return process;
  }

  function kill(address: string): void {
    processes.get(address)?.kill();
    processes.delete(address);
    for (const each of networks) each.kill(address);
  }

  function configuration(start: string): BrokerConfiguration {
    return {
      installation: INSTALLATION,
      instance: 'broker-1',
      ...(networks.length > 1 && { doors: DOORS }),
      start,
      keys: {
        session: keys.session,
        grant: keys.grant,
        certifier: keys.certifier,
        identity: keys.identity.publicKey,
      },
      queues: [
        {
          name: QUEUE,
          jobAdapter: 'jobs',
          storageAdapter: 'storage',
          leaseMs: 60_000,
          firstRenewMs: 20_000,
          maxLost: 50,
          prefetch: 8,
        },
      ],
      services: [
        { name: 'jobs', key: keys.jobs.publicKey, keyId: 1 },
        { name: 'storage', key: keys.storage.publicKey, keyId: 2 },
      ],
      limits: { ...DEFAULT_LIMITS, coolDownMs: 10_000, maxCoolDownMs: 60_000 },
      sweepMs: 5_000,
      parkMs: 55_000,
      verdictWaitMs: 2_000,
      maxParked: 1000,
    };
  }

  async function startBroker(): Promise<void> {
    const { runtime } = begin('broker');
    ledger = createMemoryLedger({ clock: runtime.clock, store: ledgerStore, syncMs: 5 });
    const broker = createBroker({
      runtime,
      configuration: configuration(newId(runtime.random)),
      bus: busOf('broker', runtime),
      ledger,
      sessionLimits: HANDSHAKES,
    });
    await broker.start();
  }

  function crashBroker(): void {
    ledger.crash();
    kill('broker');
  }

  async function startJobs(): Promise<void> {
    const { runtime } = begin('service.jobs');
    framework.restart();
    const host = createAdapterHost({
      runtime,
      bus: busOf('service.jobs', runtime),
      installation: INSTALLATION,
      name: 'jobs',
      start: newId(runtime.random),
      staticKey: keys.jobs,
      keyId: 1,
      brokers: [keys.session.publicKey.raw],
      onAsk: (item) => answerJobItem(framework, item),
      onBroker: () => host.tell({ op: 'available', queue: QUEUE, count: 1 }),
      limits: HANDSHAKES,
    });
    framework.onWork((work) =>
      host.tell(
        work.kind === 'kill'
          ? { op: 'kill', job: work.job, reason: work.reason }
          : { op: 'available', queue: work.queue, count: work.count },
      ),
    );
    await host.start();
  }

  function crashJobs(): void {
    framework.crash();
    kill('service.jobs');
  }

  async function startStorage(): Promise<void> {
    const { runtime } = begin('service.storage');
    storage.restart();
    const desk = { grantKeys: () => [keys.grant.publicKey], crypto, clock: runtime.clock, log: runtime.log };
    const host = createAdapterHost({
      runtime,
      bus: busOf('service.storage', runtime),
      installation: INSTALLATION,
      name: 'storage',
      start: newId(runtime.random),
      staticKey: keys.storage,
      keyId: 2,
      brokers: [keys.session.publicKey.raw],
      onAsk: (item) => answerStorageItem(storage, item, desk),
      onBroker: () => undefined,
      limits: HANDSHAKES,
    });
    await host.start();
  }

  function crashStorage(): void {
    storage.crash();
    kill('service.storage');
  }

  const agents = Array.from({ length: options.agents }, (_, index) => enrol(index));

  function enrol(index: number): AgentIdentity {
    const session = crypto.generate('x25519');
    const signing = crypto.generate('ed25519');
    const sig = base64url(signing.publicKey.raw);
    const iat = Math.floor(clock.wallMs() / 1000);
    const identity = signIdentity(crypto, keys.identity, {
      iss: INSTALLATION,
      sub: idOf((data) => crypto.sha256(data), sig),
      owner: `owner-${index}`,
      site: SITE,
      tier: 'untrusted',
      sig,
      kex: base64url(session.publicKey.raw),
      iat,
      exp: iat + IDENTITY_SECONDS,
    });
    const store = createAgentStore({
      produce: (attempt, output) => ({
        size: 1000 + attempt.attempt,
        sha256: hex(
          crypto.sha256(new TextEncoder().encode(`${attempt.job} ${attempt.attempt} ${output.name}`)),
        ),
      }),
    });
    return { session, signing, identity, store, honesty: index === 1 ? 'corrupts' : 'honest' };
  }

  async function startAgent(index: number): Promise<void> {
    const own = agents[index];
    if (own === undefined) throw new Error(`no agent ${index}`);
    const address = `agent.${index}`;
    const { runtime } = begin(address);
    const moving = networks.length > 1 ? movingBus(address, runtime) : undefined;
    const launcher = createMemoryLauncher({
      clock: runtime.clock,
      script: () => ({
        afterMs: 5_000 + byte(runtime.random) * 300,
        ending: { kind: 'exited', code: byte(runtime.random) < 12 ? 1 : 0 },
      }),
    });
    const transfers = createMemoryTransfers({
      clock: runtime.clock,
      delayMs: () => 50 + byte(runtime.random) * 10,
      get: async () => undefined,
      put: async (capability, facts) => {
        const [, job = '', attempt = ''] = /attempts\/([^/]+)\/([^/]+)\//.exec(capability.url) ?? [];
        const isCorrupted = own.honesty === 'corrupts' && byte(runtime.random) < 64;
        const sha256 = isCorrupted ? '0'.repeat(64) : facts.sha256;
        await storage.put({ job, attempt: Number(attempt) }, capability.token, capability.name, {
          size: facts.size,
          sha256,
        });
      },
    });
    const agent = createAgent(
      {
        runtime,
        bus: moving ?? network.bus(address),
        launcher: once(launcher, address),
        transfers,
        store: own.store,
        hostAd: () => ({ OpSys: 'LINUX', Cpus: 1 }),
      },
      {
        keys: { session: own.session, signing: own.signing },
        installation: INSTALLATION,
        certifier: keys.certifier.publicKey,
        identity: () => own.identity,
        renewIdentity: async () => undefined,
        slots: 1 + (index % 2),
        ...(moving && { onSession: () => moving.served() }),
        surroundings: {
          readOnly: [],
          hiddenPaths: [],
          path: '/bin',
          variables: {},
          wrap: [],
          network: 'none',
        },
      },
    );
    await agent.start();
  }

  /** Notes an attempt that one start of an agent begins twice: its lease was given twice. */
  function once(launcher: Launcher, address: string): Launcher {
    const begun = new Set<string>();
    return {
      launch(spec) {
        const { COPILOT_JOB: job = '', COPILOT_ATTEMPT: attempt = '' } = spec.environment;
        const what = `attempt ${attempt} of ${job}`;
        if (job === '' || begun.has(what)) errors.push(`M-12 ${address} was given ${what} twice`);
        begun.add(what);
        return launcher.launch(spec);
      },
    };
  }

  function crashAgent(index: number): void {
    kill(`agent.${index}`);
  }

  function submit(count: number): readonly string[] {
    const description: Description = {
      command: 'run',
      arguments: [],
      environment: {},
      inputs: [],
      outputs: [{ name: 'result.dat' }],
      limits: { wallSeconds: 600, memoryMiB: 100, diskMiB: 100 },
      requirements: 'other.OpSys == "linux"',
    };
    const job: Omit<NewJob, 'job'> = {
      ref: '',
      owner: 'somebody',
      site: SITE,
      campaign: 'campaign',
      priority: 0,
      retries: 20,
      description,
    };
    return framework.submit(
      QUEUE,
      Array.from({ length: count }, (_, index) => ({ ...job, ref: `job-${index}`, priority: index % 3 })),
    );
  }

  /** What is wrong now, by the invariants over the whole ledger. */
  function faults(): readonly string[] {
    const { jobs, agents: agentRows, owners } = ledgerStore;
    const found = invariants({
      jobs: [...jobs.values()],
      agents: [...agentRows.values()],
      owners: [...owners.values()],
    });
    return [...found, ...errors.map(String)];
  }

  return {
    clock,
    random,
    network,
    networks,
    arrivals,
    framework,
    storage,
    ledgerStore,
    ledger: () => ledger,
    lines,
    submit,
    faults,
    startBroker,
    crashBroker,
    startJobs,
    crashJobs,
    startStorage,
    crashStorage,
    startAgent,
    crashAgent,
    process: (address: string) => processes.get(address),
  };
}

export type World = ReturnType<typeof createWorld>;
