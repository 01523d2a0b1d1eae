import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AdapterHost } from '../../adapters/adapter-host.ts';
import { type AnswerAsk, connectAdapter } from '../../adapters/adapter-program.ts';
import {
  createMemoryJobAdapter,
  type MemoryJob,
  type MemoryJobAdapter,
  type MemoryRecord,
} from '../../adapters/jobs/memory.ts';
import { startLocalAdapter } from '../../adapters/jobs/local/main.ts';
import { answerJobItem } from '../../adapters/jobs/serve.ts';
import { type BridgeProgram, startBridge } from '../../adapters/storage/bridge/main.ts';
import type { Limits } from '../../broker/core/command.ts';
import type { AgentDetail } from '../../broker/http/agent-routes.ts';
import type { StoredJob } from '../../broker/ledger/ledger.ts';
import { type BrokerProgram, type BrokerProgramOptions, startBroker } from '../../broker/main.ts';
import type { BrokerProgramConfiguration } from '../../broker/program-configuration.ts';
import type { QueueConfiguration } from '../../broker/service/configuration.ts';
import { askBroker } from '../../cli/connection.ts';
import { loadConfiguration } from '../../cli/configuration/load.ts';
import {
  controlSocket,
  type Installation,
  openInstallation,
  type Role,
  roleDirectory,
} from '../../cli/installation.ts';
import { createWebSocketClient } from '../../protocol/bindings/websocket-client.ts';
import { base64url, idOf } from '../../protocol/encoding.ts';
import type { Description, Identity, Welcome } from '../../protocol/generated/types.ts';
import { loadKey } from '../../protocol/runtime/key-file.ts';
import { createNodeRuntime, nodeClock } from '../../protocol/runtime/node-runtime.ts';
import { signIdentity } from '../../protocol/tokens.ts';
import type { Enrolled } from './broker-stage.ts';
import { eventually } from './eventually.ts';
import { type LiveAgent, liveAgentOf } from './live-agent.ts';
import { createRawAgent, type RawAgent, type RawAgentOptions, type RawAgentPlace } from './raw-agent.ts';
import { dropReader } from '../../cli/campaign/drop-reader.ts';
import { silentLog } from './silent-log.ts';
import { removeDirectory, temporaryDirectory } from './temporary-directory.ts';

export interface LiveBrokerOptions {
  readonly limits?: Partial<Limits>;
  readonly queue?: Partial<QueueConfiguration>;
  /** What the broker's program is told otherwise. */
  readonly configuration?: Partial<BrokerProgramConfiguration>;
  readonly openLedger?: BrokerProgramOptions['openLedger'];
  /** Starts the broker, in another process for one; in this one where it is left out. */
  readonly start?: typeof startBroker;
  readonly aroundStorage?: (answer: AnswerAsk) => AnswerAsk;
  /** The real local queue, reached over its control socket, instead of a framework in memory. */
  readonly withLocalQueue?: { readonly around: (answer: AnswerAsk) => AnswerAsk };
  /** Whose jobs there are: the framework's in memory, or those of a local queue that the test starts in the directory. */
  readonly jobs?: 'framework' | 'local queue';
  /** A server instead of the embedded bus: how the installation is told of it, and what starts it. */
  readonly busServer?: {
    /** What a person would have written. */
    readonly file?: string;
    readonly flags?: readonly string[];
    readonly start: (installation: Installation) => Promise<void>;
  };
}

/**
 * A real broker on its WebSocket, with its ledger in SQLite and a real bridge, over a framework in memory; leases are short.
 * Agents are the test's.
 */
export interface LiveBroker {
  readonly directory: string;
  readonly framework: MemoryJobAdapter;
  /** Keys with an identity for them, as enrolment gives. */
  identity(change?: Partial<Identity>): Enrolled;
  /** A session of a new agent, or of one that was there before. */
  agent(enrolled?: Enrolled, options?: RawAgentOptions): Promise<LiveAgent>;
  submit(description?: Partial<Description>, job?: Partial<MemoryJob>): string;
  /** What the framework was told of a job in the end. */
  end(job: string): Promise<MemoryRecord>;
  job(id: string): Promise<StoredJob>;
  row(agent: string): Promise<AgentDetail>;
  newCode(seconds?: number): Promise<string>;
  /** Between two tests: agents go, and jobs that have not ended are cancelled. */
  clear(): Promise<void>;
  readonly program: BrokerProgram;
  stopBridge(): Promise<void>;
  startBridge(): Promise<void>;
  stopAdapter(): Promise<void>;
  startAdapter(): Promise<void>;
  stopBroker(): Promise<void>;
  startBroker(): Promise<void>;
  close(): Promise<void>;
}

const QUEUE = 'main';
const LEASE_MS = 3_000;
const END_MS = 20_000;
const WELCOME_MS = 10_000;
const IDENTITY_SECONDS = 3600;

export async function openLiveBroker(options: LiveBrokerOptions = {}): Promise<LiveBroker> {
  const base = await temporaryDirectory('attack');
  const directory = join(base, 'installation');
  const { busServer } = options;
  if (busServer?.file !== undefined) {
    await mkdir(directory, { mode: 0o700 });
    await writeFile(join(directory, 'co-pilot.yaml'), busServer.file, { mode: 0o600 });
  }
  const installation = await openInstallation({
    directory,
    ...(busServer !== undefined && {
      configuration: await loadConfiguration({
        directory,
        environment: {},
        ...(busServer.flags && { flags: busServer.flags }),
      }),
    }),
  });
  const { configurations } = installation;
  await busServer?.start(installation);
  const runtime = createNodeRuntime(silentLog);
  const configuration = {
    ...configurations.broker,
    limits: { ...configurations.broker.limits, ...options.limits },
    queues: configurations.broker.queues
      .filter(({ name }) => name === QUEUE)
      .map((queue) => ({ ...queue, leaseMs: LEASE_MS, firstRenewMs: LEASE_MS, ...options.queue })),
    sweepMs: 100,
    ...options.configuration,
  };
  const identityKey = loadKey(runtime.crypto, configuration.keys.identity);
  const framework = createMemoryJobAdapter({ clock: nodeClock, random: runtime.random });
  const agents: LiveAgent[] = [];
  let program = await startTheBroker();
  let bridge = await startTheBridge();
  let adapter = options.jobs === 'local queue' ? undefined : await startTheAdapter();

  function placeOf(role: Role): { readonly directory: string; readonly controlSocket: string } {
    return { directory: roleDirectory(directory, role), controlSocket: controlSocket(directory, role) };
  }

  function startTheBroker(): Promise<BrokerProgram> {
    const { openLedger, start = startBroker } = options;
    return start({
      ...placeOf('broker'),
      configuration,
      log: silentLog,
      ...(openLedger !== undefined && { openLedger }),
    });
  }

  function startTheBridge(): Promise<BridgeProgram> {
    const { directory: own } = placeOf('bridge');
    const { aroundStorage: around } = options;
    return startBridge({
      directory: own,
      configuration: configurations.bridge,
      log: silentLog,
      ...(around !== undefined && { around }),
    });
  }

  async function startTheAdapter(): Promise<Pick<AdapterHost, 'stop'>> {
    if (options.withLocalQueue !== undefined) {
      const { around } = options.withLocalQueue;
      return startLocalAdapter({
        ...placeOf('local'),
        configuration: configurations.local,
        log: silentLog,
        around,
        reader: dropReader,
      });
    }
    const host = await connectAdapter({
      runtime,
      configuration: configurations.local,
      onAsk: (item) => answerJobItem(framework, item),
      onBroker: () => host.tell({ op: 'available', queue: QUEUE, count: 1 }),
    });
    framework.onWork((work) =>
      host.tell(
        work.kind === 'kill'
          ? { op: 'kill', job: work.job, reason: work.reason }
          : { op: 'available', queue: work.queue, count: work.count },
      ),
    );
    await host.start();
    return host;
  }

  const place: RawAgentPlace = {
    runtimeOf: () => runtime,
    network: {
      bus: () => createWebSocketClient({ url: program.busUrl, ...runtime }),
    },
    clock: {
      monotonicMs: () => nodeClock.monotonicMs(),
      run: (ms) => new Promise((resolve) => void nodeClock.schedule(ms, resolve)),
    },
  };

  function identity(change: Partial<Identity> = {}): Enrolled {
    const session = runtime.crypto.generate('x25519');
    const signing = runtime.crypto.generate('ed25519');
    const sig = base64url(signing.publicKey.raw);
    const { installation } = configuration;
    const iat = Math.floor(nodeClock.wallMs() / 1000);
    const claims: Identity = {
      iss: installation,
      sub: idOf((data) => runtime.crypto.sha256(data), `co-pilot-agent-1\n${installation}\n${sig}`),
      owner: 'somebody',
      site: 'home',
      tier: 'untrusted',
      sig,
      kex: base64url(session.publicKey.raw),
      iat,
      exp: iat + IDENTITY_SECONDS,
      ...change,
    };
    const signed = signIdentity(runtime.crypto, identityKey, claims);
    return { agent: claims.sub, session, signing, identity: signed, claims };
  }

  async function endOf(job: string): Promise<MemoryRecord> {
    return eventually(
      'the framework to be told the end of the job',
      () => {
        const record = framework.record(job);
        return record !== undefined && (record.told > 0 || isCancelled(record)) ? record : undefined;
      },
      END_MS,
    );
  }

  return {
    directory,
    framework,
    identity,
    get program() {
      return program;
    },
    async agent(enrolled = identity(), rawOptions = {}) {
      const raw = await createRawAgent(place, enrolled, configuration.installation, rawOptions);
      const agent = liveAgentOf(raw, runtime, await welcomeOf(raw));
      agents.push(agent);
      return agent;
    },
    submit(description = {}, job = {}) {
      const whole: MemoryJob = {
        ref: 'job',
        owner: 'physicist',
        site: 'home',
        campaign: 'attacks',
        priority: 0,
        retries: 2,
        ...job,
        description: {
          command: 'generate',
          arguments: [],
          environment: {},
          inputs: [],
          outputs: [{ name: 'events.dat' }],
          limits: { wallSeconds: 60, memoryMiB: 64, diskMiB: 1 },
          requirements: '',
          ...description,
        },
      };
      const [id] = framework.submit(QUEUE, [whole]);
      if (id === undefined) throw new Error('no job was made');
      return id;
    },
    end: endOf,
    job: (id) => askBroker<StoredJob>(directory, 'GET', `/v1/jobs/${id}`),
    row: (id) => askBroker<AgentDetail>(directory, 'GET', `/v1/agents/${id}`),
    async newCode(seconds = 60) {
      const body = { owner: 'somebody', site: 'home', seconds };
      return (await askBroker<{ readonly code: string }>(directory, 'POST', '/v1/codes', body)).code;
    },
    async clear() {
      await Promise.all(agents.splice(0).map((agent) => agent.vanish()));
      const left = framework.records().filter(({ told }) => told === 0);
      for (const { job } of left) framework.cancel(job.job);
      for (const { job } of left) await endOf(job.job);
    },
    stopBridge: () => bridge.stop(),
    async startBridge() {
      bridge = await startTheBridge();
    },
    stopAdapter: () => adapter?.stop() ?? Promise.resolve(),
    async startAdapter() {
      adapter = await startTheAdapter();
    },
    stopBroker: () => program.stop(),
    async startBroker() {
      program = await startTheBroker();
    },
    async close() {
      for (const agent of agents) await agent.vanish();
      await adapter?.stop();
      await bridge.stop();
      await program.stop();
      // Its reminders would go on without end.
      framework.crash();
      await removeDirectory(base);
    },
  };
}

/** Fails at once where the broker sends the agent away. */
async function welcomeOf(raw: RawAgent): Promise<Welcome> {
  const first = await eventually(
    'a welcome',
    () => raw.heard.find(({ kind }) => kind === 'welcome' || kind === 'farewell'),
    WELCOME_MS,
  );
  if (first.kind === 'welcome') return raw.hear('welcome');
  await raw.vanish();
  throw new Error(`the broker sent the agent away: ${JSON.stringify(first)}`);
}

/** One that no broker accepted ends without being told. */
function isCancelled({ progress }: MemoryRecord): boolean {
  return progress.state === 'cancelled';
}
