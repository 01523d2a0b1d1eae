import { createMemoryLedger, createMemoryStore } from '../../broker/ledger/memory.ts';
import { type Broker, createBroker } from '../../broker/service/broker.ts';
import { DEFAULT_LIMITS } from '../../broker/service/configuration.ts';
import type { Address, Bus } from '../../protocol/bindings/bus.ts';
import { base64url, newId } from '../../protocol/encoding.ts';
import type { Identity } from '../../protocol/generated/types.ts';
import { createNodeRuntime, nodeClock } from '../../protocol/runtime/node-runtime.ts';
import type { PublicKey } from '../../protocol/runtime/runtime.ts';
import { judgeIdentity } from '../../protocol/tokens.ts';
import type { Enrolled } from './broker-stage.ts';
import type { AgentLogin, StatusOf } from './bus-desk.ts';
import { createRawAgent, type RawAgent } from './raw-agent.ts';
import { silentLog } from './silent-log.ts';

/** A bus server that is locked down, whichever it is, with the broker's connection to it. */
export interface StagedBus {
  readonly broker: Bus & { readonly address: Address };
  /** Identities that it signed are let in. */
  readonly identityKey: PublicKey;
  /** An identity with these keys. */
  agent(keys: Pick<Identity, 'sig' | 'kex'>): AgentLogin;
  /** Makes room for the agent. */
  admit(agent: string): Promise<void>;
  agentBus(login: AgentLogin): Bus;
  /** Closes its connections as a broker does; answers how many there were. */
  evict(agent: string): Promise<number>;
  judgeBy(statusOf: StatusOf | undefined): void;
}

/** A program that has an agent's key, and what it noticed of its connection. */
export interface StagedProgram {
  readonly raw: RawAgent;
  readonly states: readonly ('up' | 'down')[];
}

/** A broker as it is, with its ledger in memory, on a bus server; agents are the test's. */
export interface BusStage {
  readonly broker: Broker;
  /** Whose connections the server was told to close, and how many there were. */
  readonly evictions: readonly { readonly agent: string; readonly closed: number }[];
  /** The status of each agent that the server asked about. */
  readonly judged: readonly { readonly agent: string; readonly status: string | undefined }[];
  enrol(): Promise<Enrolled>;
  /** Logs in and begins a session as this start of the agent; has heard nothing yet. */
  program(enrolled: Enrolled, start?: string): Promise<StagedProgram>;
  stop(): Promise<void>;
}

const INSTALLATION = 'home';
/** Whoever asks for work is answered at once that there is none. */
const NO_WORK = { queues: [], services: [], sweepMs: 50, parkMs: 50, verdictWaitMs: 50, maxParked: 100 };

export async function openBusStage(bus: StagedBus): Promise<BusStage> {
  const runtime = createNodeRuntime(silentLog);
  const { crypto, random } = runtime;
  const ledger = createMemoryLedger({ clock: nodeClock, store: createMemoryStore() });
  const evictions: { readonly agent: string; readonly closed: number }[] = [];
  const judged: { readonly agent: string; readonly status: string | undefined }[] = [];
  const programs: RawAgent[] = [];
  const broker = createBroker({
    runtime,
    configuration: {
      installation: INSTALLATION,
      instance: 'broker-1',
      address: bus.broker.address,
      start: newId(random),
      keys: {
        session: crypto.generate('x25519'),
        grant: crypto.generate('ed25519'),
        certifier: crypto.generate('ed25519'),
        identity: bus.identityKey,
      },
      limits: DEFAULT_LIMITS,
      ...NO_WORK,
    },
    bus: bus.broker,
    ledger,
    sessionLimits: { handshakes: { burst: 100, everyMs: 100 } },
    evict: async (agent) => void evictions.push({ agent, closed: await bus.evict(agent) }),
  });
  bus.judgeBy(async (agent) => {
    const row = await ledger.agent(agent);
    judged.push({ agent, status: row?.status });
    return row;
  });
  await broker.start();
  return {
    broker,
    evictions,
    judged,
    async enrol() {
      const [session, signing] = [crypto.generate('x25519'), crypto.generate('ed25519')];
      const { password: identity } = bus.agent({
        sig: base64url(signing.publicKey.raw),
        kex: base64url(session.publicKey.raw),
      });
      const found = judgeIdentity(crypto, bus.identityKey, identity, nodeClock.wallMs());
      if (found.kind !== 'valid') throw new Error(`an identity was made that is ${found.kind}`);
      const { claims } = found;
      await bus.admit(claims.sub);
      return { agent: claims.sub, session, signing, identity, claims };
    },
    async program(enrolled, start) {
      const states: ('up' | 'down')[] = [];
      const own = bus.agentBus({ user: enrolled.agent, password: enrolled.identity });
      own.onConnection((state) => states.push(state));
      const place = {
        runtimeOf: () => runtime,
        network: { bus: () => own },
        clock: {
          monotonicMs: () => nodeClock.monotonicMs(),
          run: (ms: number) => new Promise<void>((resolve) => void nodeClock.schedule(ms, resolve)),
        },
      };
      const raw = await createRawAgent(place, enrolled, INSTALLATION, { ...(start && { start }) });
      programs.push(raw);
      return { raw, states };
    },
    async stop() {
      await Promise.all(programs.map((program) => program.vanish()));
      await broker.stop();
      bus.judgeBy(undefined);
    },
  };
}
