import { join } from 'node:path';
import { runAgent } from '../../agent/main.ts';
import { openSqliteLedger } from '../../broker/ledger/sqlite.ts';
import { serverFilesFor } from '../../cli/rabbitmq/installation-files.ts';
import { type RabbitServer, startRabbit } from '../servers/rabbitmq.ts';
import { eventually, eventuallyTrue } from './eventually.ts';
import { type FaultProxy, openFaultProxy } from './fault-proxy.ts';
import { freePort } from './free-port.ts';
import { type LiveBroker, openLiveBroker } from './live-broker.ts';
import { removeDirectory, temporaryDirectory } from './temporary-directory.ts';

/** A broker on RabbitMQ and on its own WebSocket, and agents that reach either through something that can be cut. */
export interface FailoverWorld {
  readonly broker: LiveBroker;
  readonly rabbit: RabbitServer;
  /** A folder that jobs may look into. */
  readonly directory: string;
  /** Cuts every connection of agents there is, on either bus. */
  cut(): void;
  /** Agents that have a session, by the last thing each said. */
  connected(): number;
  /** When a renewal of an agent's was accepted last, by `performance.now()`. */
  lastRenewal(agent: string): number;
  /** Agents that renewed something. */
  readonly renewing: readonly string[];
  /** Connections that agents made to each bus. */
  connections(): { readonly rabbitmq: number; readonly websocket: number };
  startAgents(count: number, slots: number): Promise<void>;
  close(): Promise<void>;
}

/** Long enough that no attempt ends for a move, and a busy machine's either. */
const LEASE_MS = 60_000;

export async function openFailoverWorld(): Promise<FailoverWorld> {
  const directory = await temporaryDirectory('failover');
  const proxies = { rabbitmq: await openFaultProxy(), websocket: await openFaultProxy() };
  const ports = {
    rabbit: await freePort(),
    access: await freePort(),
    hub: await freePort(),
    management: await freePort(),
  };
  const renewals = new Map<string, number>();
  const states = new Map<string, string>();
  const hurry = new AbortController();
  const agents: Promise<number>[] = [];
  let rabbit: RabbitServer | undefined;
  proxies.rabbitmq.target(ports.rabbit);
  proxies.websocket.target(ports.hub);

  const broker = await openLiveBroker({
    queue: { leaseMs: LEASE_MS, firstRenewMs: LEASE_MS },
    busServer: {
      file: settings(proxies, ports),
      async start(installation) {
        const folder = join(directory, 'node');
        rabbit = await startRabbit(folder, () => serverFilesFor(installation, folder), ports.rabbit);
      },
    },
    async openLedger(options) {
      const ledger = await openSqliteLedger(options);
      const apply = ledger.apply.bind(ledger);
      return Object.assign(ledger, {
        async apply(commands: Parameters<typeof apply>[0]) {
          const outcomes = await apply(commands);
          for (const [at, outcome] of outcomes.entries()) {
            const command = commands[at];
            if (outcome.kind === 'renewed' && command?.kind === 'renew')
              renewals.set(command.agent, performance.now());
          }
          return outcomes;
        },
      });
    },
  }).catch(async (caught: unknown) => {
    await release();
    throw caught;
  });

  async function release(): Promise<void> {
    await rabbit?.stop();
    await Promise.all(Object.values(proxies).map((proxy) => proxy.close()));
    await removeDirectory(directory);
  }

  async function startAgent(slots: number): Promise<void> {
    const name = `agent-${agents.length}`;
    const code = await broker.newCode();
    const done = runAgent({
      directory: join(directory, name),
      code,
      slots,
      isolation: 'none',
      drainSeconds: 0,
      json: true,
      logLevel: 'error',
      signal: hurry.signal,
      hurry: hurry.signal,
      write(line) {
        const event = JSON.parse(line) as { readonly kind: string; readonly state?: string };
        if (event.kind === 'link') states.set(name, event.state ?? '');
      },
    });
    agents.push(done);
    await eventuallyTrue(`${name} to be connected`, () => states.get(name) === 'up', 60_000);
  }

  return {
    broker,
    get rabbit() {
      if (rabbit === undefined) throw new Error('the server has not started');
      return rabbit;
    },
    directory,
    cut() {
      for (const proxy of Object.values(proxies)) proxy.cutAll();
    },
    connected: () => [...states.values()].filter((state) => state === 'up').length,
    lastRenewal: (agent) => renewals.get(agent) ?? Number.NEGATIVE_INFINITY,
    get renewing() {
      return [...renewals.keys()];
    },
    connections: () => ({
      rabbitmq: proxies.rabbitmq.connections(),
      websocket: proxies.websocket.connections(),
    }),
    async startAgents(count, slots) {
      for (let at = 0; at < count; at++) await startAgent(slots);
    },
    async close() {
      hurry.abort();
      await Promise.all(agents);
      await broker.close();
      await release();
    },
  };
}

interface Proxies {
  readonly rabbitmq: FaultProxy;
  readonly websocket: FaultProxy;
}

function settings(
  { rabbitmq, websocket }: Proxies,
  ports: {
    readonly rabbit: number;
    readonly access: number;
    readonly hub: number;
    readonly management: number;
  },
): string {
  return `
ports: { bus: ${ports.hub} }
bus:
  - { kind: rabbitmq, url: 'amqp://127.0.0.1:${ports.rabbit}', accessPort: ${ports.access}, managementUrl: 'http://127.0.0.1:${ports.management}', publicUrl: 'amqp://127.0.0.1:${rabbitmq.port}' }
  - { kind: websocket, publicUrl: 'ws://127.0.0.1:${websocket.port}/bus' }
`;
}

/** Agents with a job each, which lasts until the file `end` is there. */
export async function leaseLongJobs(
  world: FailoverWorld,
  agents: number,
  end: string,
): Promise<readonly string[]> {
  const { broker } = world;
  const jobs = Array.from({ length: agents }, () =>
    broker.submit({
      command: 'sh',
      arguments: ['-c', `while [ ! -e ${end} ]; do sleep 2; done; echo long > events.dat`],
      limits: { wallSeconds: 3600, memoryMiB: 64, diskMiB: 1 },
    }),
  );
  await world.startAgents(agents, 1);
  const isLeased = async (job: string) => (await broker.job(job)).job.state === 'leased' || undefined;
  for (const job of jobs) await eventually('a job to be leased', () => isLeased(job), 60_000);
  return jobs;
}

export interface Kills {
  /** From each loss of a connection to the next renewal that was accepted, sorted. */
  readonly awayMs: readonly number[];
}

/** Cuts the agents' connections again and again, each time once all that hold a job have renewed. */
export async function killRepeatedly(
  world: FailoverWorld,
  kills: number,
  agents: number,
  meanwhile: () => Promise<void> = () => Promise.resolve(),
): Promise<Kills> {
  const awayMs: number[] = [];
  const victims = await firstRenewals(world, agents);
  await meanwhile();
  for (let kill = 0; kill < kills; kill++) {
    const lostMs = performance.now();
    world.cut();
    const isBack = (agent: string): boolean => world.lastRenewal(agent) > lostMs;
    await eventuallyTrue(`all to renew after loss ${kill + 1}`, () => victims.every(isBack), 60_000);
    awayMs.push(...victims.map((agent) => world.lastRenewal(agent) - lostMs));
  }
  return { awayMs: awayMs.toSorted((one, other) => one - other) };
}

/** Whoever comes back renews at once: the first loss shows who holds something, and does not count. */
async function firstRenewals(world: FailoverWorld, agents: number): Promise<readonly string[]> {
  world.cut();
  await eventuallyTrue('every agent to have renewed', () => world.renewing.length === agents, 60_000);
  return world.renewing;
}

/** The value that so large a part is not above. */
export function percentile(sorted: readonly number[], part: number): number {
  return sorted[Math.ceil(sorted.length * part) - 1] ?? Number.POSITIVE_INFINITY;
}
