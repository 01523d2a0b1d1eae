import { createAgent } from '../../../agent/loop/agent.ts';
import type { Agent, AgentEnd, AgentOptions } from '../../../agent/loop/agent.ts';
import type { AgentEvent } from '../../../agent/loop/events.ts';
import type { JobEnvironment } from '../../../agent/environment/job-environment.ts';
import { createMemoryLauncher } from '../../../agent/executors/memory-launcher.ts';
import type { MemoryLauncher, ScriptedJob } from '../../../agent/executors/memory-launcher.ts';
import type { LaunchSpec } from '../../../agent/executors/launcher.ts';
import type { PilotHost } from '../../../agent/pilot/pilot-host.ts';
import { createMemoryStore } from '../../../agent/store/memory.ts';
import type { MemoryStore } from '../../../agent/store/memory.ts';
import { createMemoryTransfers } from '../../../agent/transfers/memory.ts';
import type { MemoryTransfers } from '../../../agent/transfers/memory.ts';
import { BROKER_ADDRESS } from '../../../protocol/bindings/bus.ts';
import { createMemoryNetwork } from '../../../protocol/bindings/memory.ts';
import type { MemoryNetwork } from '../../../protocol/bindings/memory.ts';
import type {
  Capability,
  Description,
  Job,
  Lease,
  None,
  Report,
  Reported,
  Request,
} from '../../../protocol/generated/types.ts';
import type { AgentMessage } from '../../../protocol/messages.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import type { Runtime } from '../../../protocol/runtime/runtime.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import type { ManualClock } from '../../doubles/manual-clock.ts';
import { createCast, INSTALLATION, startScriptedBroker } from '../../doubles/scripted-broker.ts';
import type { Cast, ScriptedBroker } from '../../doubles/scripted-broker.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';

export const AD = { Cpus: 2, MemoryMiB: 2048, DiskMiB: 10_000 };
export const DIGEST = '0'.repeat(64);

/** Job `n` of a test, as the schema wants it. */
export function jobId(n: number): string {
  return 'abcdefghijklmnopqrstuvwxyz'.charAt(n).repeat(26);
}

export function lease(n: number, change: Partial<Lease> = {}, description: Partial<Description> = {}): Lease {
  return {
    job: jobId(n),
    attempt: 1,
    queue: 'local',
    leaseSeconds: 900,
    firstRenewSeconds: 60,
    capabilities: [capability('put', 'out')],
    ...change,
    description: {
      command: 'work',
      arguments: ['--fast'],
      environment: { SEED: '7' },
      inputs: [],
      outputs: [{ name: 'out' }],
      limits: { wallSeconds: 3600, memoryMiB: 64, diskMiB: 64 },
      requirements: '',
      ...description,
    },
  };
}

export function capability(verb: 'get' | 'put', name: string, token = 'token'): Capability {
  return { verb, name, url: `http://127.0.0.1:1/${name}`, token };
}

type Kinds = { readonly [K in AgentMessage['kind']]: Extract<AgentMessage, { readonly kind: K }> };

/** One agent over a memory bus before a scripted broker, on a clock moved by hand. */
export class Stage {
  readonly clock: ManualClock;
  readonly runtime: Runtime;
  readonly network: MemoryNetwork;
  readonly cast: Cast;
  readonly broker: ScriptedBroker;
  readonly store: MemoryStore;
  readonly launched: LaunchSpec[] = [];
  readonly moved: { readonly verb: 'get' | 'put'; readonly capability: Capability; readonly path: string }[] =
    [];
  readonly events: AgentEvent[] = [];
  launcher: MemoryLauncher;
  transfers: MemoryTransfers;
  /** What each job does, by its command; by default it works for five seconds and ends well. */
  readonly scripts = new Map<string, ScriptedJob>();
  /** Outputs that jobs do not leave. */
  readonly missing = new Set<string>();
  progress = 0.5;
  /** Serves jobs in pilot mode; set before the start. */
  pilot: PilotHost | undefined;
  /** What the site gives its jobs; set before the start. */
  environment: JobEnvironment | undefined;
  identityRenewals = 0;
  ends: AgentEnd[] = [];
  agent: Agent;
  #starts = 0;

  constructor(parts: {
    clock: ManualClock;
    runtime: Runtime;
    network: MemoryNetwork;
    cast: Cast;
    broker: ScriptedBroker;
  }) {
    this.clock = parts.clock;
    this.runtime = parts.runtime;
    this.network = parts.network;
    this.cast = parts.cast;
    this.broker = parts.broker;
    this.store = createMemoryStore({
      produce: (_attempt, { name }) => (this.missing.has(name) ? undefined : { size: 100, sha256: DIGEST }),
      progress: () => this.progress,
    });
    this.launcher = this.#createLauncher();
    this.transfers = this.#createTransfers();
    this.agent = this.#createAgent({});
  }

  /** A new start of the agent on the same store. */
  async start(options: Partial<AgentOptions> = {}): Promise<void> {
    this.launcher = this.#createLauncher();
    this.transfers = this.#createTransfers();
    this.agent = this.#createAgent(options);
    void this.agent.ended.then((end) => this.ends.push(end));
    await this.agent.start();
  }

  /** The agent's process dies: nothing of it does anything any more. */
  crash(): void {
    this.network.kill(this.#address);
    this.launcher.crash();
  }

  /** The next message of the agent, which must be of this kind; waits for it on the simulated clock. */
  async hears<K extends AgentMessage['kind']>(kind: K, withinMs = 20_000): Promise<Kinds[K]> {
    const message = await this.next(withinMs);
    if (message?.kind !== kind) throw new Error(`expected a ${kind}, heard ${JSON.stringify(message)}`);
    return message as Kinds[K];
  }

  async next(withinMs: number): Promise<AgentMessage | undefined> {
    await this.until(() => this.broker.inbox.length > 0, withinMs);
    return this.broker.inbox.shift();
  }

  /** Moves the clock in small steps until the condition holds; false where it does not within the time. */
  async until(condition: () => boolean, withinMs = 20_000): Promise<boolean> {
    for (let turn = 0; turn < 20 && !condition(); turn++) await this.clock.run(0);
    for (let waitedMs = 0; waitedMs < withinMs && !condition(); waitedMs += 50) await this.clock.run(50);
    return condition();
  }

  gives({ slot, counter }: Request, given: Lease): void {
    const job: Job = { kind: 'job', slot, counter, lease: given, verdicts: [] };
    this.broker.say(job);
  }

  hasNone({ slot, counter }: Request, retryAfterSeconds = 5): void {
    const none: None = {
      kind: 'none',
      slot,
      counter,
      none: { reason: 'no-work', retryAfterSeconds },
      verdicts: [],
    };
    this.broker.say(none);
  }

  judges(report: Report, change: Partial<Reported> = {}): void {
    const { slot, counter, job, attempt } = report;
    this.broker.say({
      kind: 'reported',
      slot,
      counter,
      job,
      attempt,
      verdict: 'committed',
      reason: '',
      verdicts: [],
      ...change,
    });
  }

  phases(slot = 1): string[] {
    return this.events.flatMap((event) =>
      event.kind === 'slot' && event.slot === slot ? [event.phase] : [],
    );
  }

  get #address(): string {
    return `agent-${this.#starts}`;
  }

  #createAgent(options: Partial<AgentOptions>): Agent {
    this.#starts += 1;
    const { runtime, cast } = this;
    return createAgent(
      {
        runtime,
        bus: this.network.bus(this.#address),
        launcher: this.launcher,
        transfers: this.transfers,
        store: this.store,
        hostAd: () => AD,
        ...(this.pilot !== undefined && { pilot: this.pilot }),
        ...(this.environment !== undefined && { environment: this.environment }),
      },
      {
        keys: { session: cast.agentSession, signing: cast.agentSigning },
        installation: INSTALLATION,
        certifier: cast.certifier.publicKey,
        identity: () => cast.identity,
        renewIdentity: () => {
          this.identityRenewals += 1;
          return Promise.resolve();
        },
        slots: 1,
        surroundings: {
          readOnly: ['/opt/node/bin'],
          hiddenPaths: [],
          path: '/opt/node/bin:/usr/bin:/bin',
          variables: {},
          wrap: [],
          network: 'host',
        },
        onEvent: (event) => this.events.push(event),
        ...options,
      },
    );
  }

  #createLauncher(): MemoryLauncher {
    return createMemoryLauncher({
      clock: this.clock,
      script: (spec) => {
        this.launched.push(spec);
        return this.scripts.get(spec.command) ?? { afterMs: 5_000, ending: { kind: 'exited', code: 0 } };
      },
    });
  }

  #createTransfers(): MemoryTransfers {
    const inner = createMemoryTransfers({
      clock: this.clock,
      put: () => Promise.resolve(),
      get: () => Promise.resolve(),
    });
    return {
      ...inner,
      upload: async (path, given, facts, signal, onProgress) => {
        await inner.upload(path, given, facts, signal, onProgress);
        this.moved.push({ verb: 'put', capability: given, path });
      },
      download: async (given, target, facts, signal, onProgress) => {
        await inner.download(given, target, facts, signal, onProgress);
        this.moved.push({ verb: 'get', capability: given, path: target });
      },
    };
  }
}

export async function setStage(seed = 1): Promise<Stage> {
  const clock = createManualClock();
  const random = createSeededRandom(seed);
  const quiet = (): void => undefined;
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
  const runtime: Runtime = { clock, random, crypto: createCrypto(random), log };
  const network = createMemoryNetwork({ clock, random });
  const cast = createCast(runtime);
  const broker = await startScriptedBroker(runtime, network.bus(BROKER_ADDRESS), cast);
  return new Stage({ clock, runtime, network, cast, broker });
}
