import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMemoryJobAdapter, type MemoryJobAdapter } from '../../adapters/jobs/memory.ts';
import type { StoredJob } from '../../broker/ledger/ledger.ts';
import { type BrokerProgram, startBroker } from '../../broker/main.ts';
import { askBroker } from '../../cli/connection.ts';
import { controlSocket, roleDirectory } from '../../cli/installation.ts';
import { createAgentBus } from '../../protocol/bindings/agent-bus.ts';
import { connectAmqp } from '../../protocol/bindings/amqp-connect.ts';
import { AMQP_HANDLERS } from '../../protocol/bindings/amqp-port.ts';
import type { Bus } from '../../protocol/bindings/bus.ts';
import { agentAddress } from '../../protocol/bindings/parties.ts';
import { XMPP_HANDLERS } from '../../protocol/bindings/xmpp-port.ts';
import { createNodeRuntime, nodeClock } from '../../protocol/runtime/node-runtime.ts';
import { createBelievingStorage } from '../bench/believing-storage.ts';
import { startBenchAdapters } from '../bench/bench-adapters.ts';
import { BenchAgent } from '../bench/bench-agent.ts';
import type { BenchServer } from '../bench/buses/bench-server.ts';
import { BENCH_SERVERS } from '../bench/buses/servers.ts';
import {
  createStage,
  enrolAgent,
  INSTALLATION,
  newJob,
  programConfiguration,
  QUEUE,
  stageKeys,
} from '../bench/stage.ts';
import { eventuallyTrue } from '../doubles/eventually.ts';
import { LACKS_EJABBERD } from '../doubles/locked-ejabberd.ts';
import { LACKS_PROSODY } from '../doubles/locked-prosody.ts';
import { LACKS_RABBIT } from '../doubles/locked-rabbitmq.ts';
import { createRawAgent } from '../doubles/raw-agent.ts';
import { silentLog } from '../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../doubles/temporary-directory.ts';

const AGENTS = 4;
/** The most that the protocol knows. */
const SLOTS = 63;
const JOBS = 1000;
/** What a slow agent takes for each frame, many of them at once. */
const SLOW_MS = 20;
/** Renewals of an agent that does not listen, each of which is answered. */
const FLOOD = 2000;
const NOT_ITS_OWN = Array.from({ length: 32 }, () => ({ job: 'a'.repeat(26), attempt: 1, progress: 0.5 }));
const WITHIN_MS = 120_000;
/** Of an agent (docs/buses.md). */
const QUEUE_FRAMES = 200;
const HANDLERS = Math.max(AMQP_HANDLERS, XMPP_HANDLERS);

const SERVERS = [
  { name: 'rabbitmq', lacks: LACKS_RABBIT, hasQueues: true },
  { name: 'prosody', lacks: LACKS_PROSODY, hasQueues: false },
  { name: 'ejabberd', lacks: LACKS_EJABBERD, hasQueues: false },
] as const;

const later = (ms: number) => new Promise<void>((resolve) => void nodeClock.schedule(ms, resolve));

describe.each(SERVERS.filter(({ lacks }) => !lacks))(
  `${AGENTS} agents of ${SLOTS} slots on $name (left out where the server is not installed)`,
  ({ name, hasQueues }) => {
    const runtime = createNodeRuntime(silentLog);
    const stage = createStage();
    const atOnce = { slow: 0, most: 0, deaf: 0 };
    let directory: string;
    let server: BenchServer;
    let broker: BrokerProgram;
    let framework: MemoryJobAdapter;
    let stopAdapters = async (): Promise<void> => undefined;

    beforeAll(async () => {
      directory = await temporaryDirectory('many-slots');
      await mkdir(roleDirectory(directory, 'broker'), { mode: 0o700 });
      server = await BENCH_SERVERS[name]!({
        directory: join(directory, 'server'),
        stage,
        clients: 2 * AGENTS,
        keepsRates: true,
      });
      broker = await startBroker({
        directory: roleDirectory(directory, 'broker'),
        controlSocket: controlSocket(directory, 'broker'),
        configuration: {
          ...programConfiguration(stage, JOBS),
          ...server.broker,
          parkMs: 2_000,
          framesPerSecond: 1_000,
        },
        log: silentLog,
      });
      framework = createMemoryJobAdapter(runtime);
      const storage = createBelievingStorage();
      stopAdapters = await startBenchAdapters({
        runtime,
        busUrl: server.serviceUrl,
        stage,
        jobs: framework,
        storage,
      });
    }, WITHIN_MS);
    afterAll(async () => {
      await stopAdapters();
      await broker.stop();
      framework.crash();
      await server.stop();
      await removeDirectory(directory);
    }, WITHIN_MS);

    type Keys = ReturnType<typeof enrolAgent>;

    async function admitted(index: number): Promise<Keys> {
      const keys = enrolAgent(runtime.crypto, stageKeys(runtime.crypto, stage).identity, index);
      await server.admit([keys.agent]);
      return keys;
    }

    const busOf = ({ agent, identity }: Keys): Promise<Bus> =>
      createAgentBus({
        url: server.url,
        agent,
        identity: () => identity,
        renewIdentity: async () => undefined,
        ...runtime,
      });

    /** The same bus, of which each frame takes its time. */
    const slowly = (bus: Bus): Bus => ({
      ...bus,
      onFrame: (handler) =>
        bus.onFrame(async (from, frame) => {
          atOnce.most = Math.max(atOnce.most, ++atOnce.slow);
          await later(SLOW_MS);
          atOnce.slow--;
          await handler(from, frame);
        }),
    });

    /** An agent that asks, again and again, and handles no answer to its end. */
    async function deafAgent(): Promise<{ readonly agent: string; leave(): Promise<void> }> {
      const keys = await admitted(AGENTS);
      const { promise: released, resolve: release } = Promise.withResolvers<undefined>();
      let isDeaf = false;
      const bus = await busOf(keys);
      const deaf: Bus = {
        ...bus,
        onFrame: (handler) =>
          bus.onFrame(async (from, frame) => {
            atOnce.deaf += isDeaf ? 1 : 0;
            if (isDeaf) await released;
            await handler(from, frame);
          }),
      };
      const place = {
        runtimeOf: () => runtime,
        network: { bus: () => deaf },
        clock: { monotonicMs: () => nodeClock.monotonicMs(), run: later },
      };
      const raw = await createRawAgent(place, keys, INSTALLATION);
      await raw.hear('welcome');
      isDeaf = true;
      for (let counter = 1; counter <= FLOOD; counter++)
        raw.say({ kind: 'renew', slot: 0, counter, leases: NOT_ITS_OWN, seen: [] });
      return {
        agent: keys.agent,
        async leave() {
          release(undefined);
          await raw.vanish();
        },
      };
    }

    async function working(index: number): Promise<{ readonly keys: Keys; readonly agent: BenchAgent }> {
      const keys = await admitted(index);
      const bus = await busOf(keys);
      const agent = new BenchAgent(runtime, keys, index === 0 ? slowly(bus) : bus);
      await agent.connect();
      return { keys, agent };
    }

    /** The most frames that were seen to wait for one of the agents; 0 where the server has no queues of theirs. */
    async function deepest(agents: readonly string[], isDone: () => boolean): Promise<number> {
      const [bus] = server.broker.buses;
      if (bus?.kind !== 'rabbitmq' || !('password' in bus)) return 0;
      const model = await connectAmqp(bus.url, { user: 'broker', password: bus.password });
      const channel = await model.createChannel();
      let most = 0;
      while (!isDone()) {
        for (const agent of agents)
          most = Math.max(most, (await channel.checkQueue(agentAddress(agent))).messageCount);
        await later(50);
      }
      await model.close();
      return most;
    }

    it(
      'I1 I3 I4 finish a thousand jobs, each once, one of them slowly, beside one that asks and does not listen',
      async () => {
        const crew = await Promise.all(Array.from({ length: AGENTS }, (_, index) => working(index)));
        const deaf = await deafAgent();
        const jobs = framework.submit(
          QUEUE,
          Array.from({ length: JOBS }, (_, at) => {
            const { job: _made, ...job } = newJob(String(at));
            return job;
          }),
        );
        let isDone = false;
        const depth = deepest([deaf.agent, ...crew.map(({ keys }) => keys.agent)], () => isDone);
        const done = await Promise.all(
          crew.flatMap(({ agent }) => Array.from({ length: SLOTS }, (_, at) => agent.workOff(at + 1))),
        );
        const ended = (): boolean =>
          jobs.every((job) => framework.record(job)?.progress.state === 'finished');
        await eventuallyTrue('the framework to know', ended, WITHIN_MS);
        isDone = true;
        expect(done.reduce((sum, count) => sum + count, 0)).toBe(JOBS);
        for (const id of jobs) {
          const { job } = await askBroker<StoredJob>(directory, 'GET', `/v1/jobs/${id}`);
          expect(job.attempts.map(({ state }) => state)).toEqual(['committed']);
        }
        expect(atOnce.most).toBeGreaterThan(1);
        expect(atOnce.most).toBeLessThanOrEqual(HANDLERS);
        // All that it may have in hand, and then its queue, are full.
        expect(atOnce.deaf).toBe(HANDLERS);
        expect(await depth).toBe(hasQueues ? QUEUE_FRAMES : 0);
        await Promise.all([...crew.map(({ agent }) => agent.stop()), deaf.leave()]);
      },
      2 * WITHIN_MS,
    );
  },
);
