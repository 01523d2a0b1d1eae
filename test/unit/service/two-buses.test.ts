import { expect, it } from 'vitest';
import { createAdapterHost } from '../../../adapters/adapter-host.ts';
import { createAdapterLinks } from '../../../broker/service/adapter-links.ts';
import { type BrokerConfiguration, DEFAULT_LIMITS } from '../../../broker/service/configuration.ts';
import { BROKER_ADDRESS, type Bus } from '../../../protocol/bindings/bus.ts';
import { createJointBus } from '../../../protocol/bindings/joint-bus.ts';
import { createMemoryNetwork, type MemoryNetwork } from '../../../protocol/bindings/memory.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import type { AnswerBody, AskItem } from '../../../protocol/session/trusted-link.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';
import { silentLog } from '../../doubles/silent-log.ts';

const DOORS = ['first', 'second'] as const;
const ADAPTER = 'service.jobs';
const DISCARD = { op: 'discard', job: 'a'.repeat(26), attempt: 1 } as const;

/** A broker and an adapter that are both on two buses. */
async function stage(nearDoor?: (typeof DOORS)[number]) {
  const clock = createManualClock();
  const random = createSeededRandom(4);
  const crypto = createCrypto(random);
  const runtime = { clock, random, crypto, log: silentLog };
  const faults = { delayMs: [5, 5] } as const;
  const networks = {
    first: createMemoryNetwork({ clock, random, faults }),
    second: createMemoryNetwork({ clock, random, faults }),
  };
  const joined = (address: string): Bus =>
    createJointBus({
      doors: DOORS.map((name) => ({ name, bus: networks[name].bus(address) })),
      needs: 'all',
      log: silentLog,
    });
  const keys = { broker: crypto.generate('x25519'), adapter: crypto.generate('x25519') };
  const asked: AskItem[] = [];
  const told: AskItem[] = [];
  let answer = (): Promise<AnswerBody> => Promise.resolve({ result: 'ok' });
  const host = createAdapterHost({
    runtime,
    bus: joined(ADAPTER),
    installation: 'home',
    name: 'jobs',
    start: 'b'.repeat(26),
    staticKey: keys.adapter,
    keyId: 1,
    brokers: [keys.broker.publicKey.raw],
    onAsk(item) {
      asked.push(item);
      return answer();
    },
    onBroker: () => undefined,
  });
  const configuration: BrokerConfiguration = {
    installation: 'home',
    instance: 'broker-1',
    doors: DOORS,
    ...(nearDoor && { nearDoor }),
    start: 'c'.repeat(26),
    keys: {
      session: keys.broker,
      grant: crypto.generate('ed25519'),
      certifier: crypto.generate('ed25519'),
      identity: crypto.generate('p256').publicKey,
    },
    queues: [],
    services: [{ name: 'jobs', key: keys.adapter.publicKey, keyId: 1 }],
    limits: DEFAULT_LIMITS,
    sweepMs: 5_000,
    parkMs: 55_000,
    verdictWaitMs: 2_000,
    maxParked: 10,
  };
  const bus = joined(BROKER_ADDRESS);
  const links = createAdapterLinks({
    runtime,
    configuration,
    bus,
    onAsk: async (_service, item) => {
      told.push(item);
      return { result: 'ok' };
    },
    onOpen: () => undefined,
  });
  bus.onFrame((from, frame) => void links.receive(from, frame));
  bus.onConnection((state, door) => links.connection(state, door));
  bus.onGone((address) => links.gone(address));
  await host.start();
  await bus.start();
  links.connect();
  await clock.run(2_000);
  return {
    clock,
    networks,
    host,
    links,
    asked,
    told,
    onAsk: (next: typeof answer) => void (answer = next),
    stop: async () => {
      links.stop();
      await host.stop();
      await bus.stop();
    },
  };
}

const LOSSES: Readonly<Record<string, (network: MemoryNetwork) => void>> = {
  "the broker's connection": (network) => network.disconnect(BROKER_ADDRESS),
  "the adapter's connection": (network) => network.disconnect(ADAPTER),
  'every frame, in silence': (network) => void network.partition([ADAPTER]),
};

it.each(Object.entries(LOSSES).flatMap(([what, lose]) => DOORS.map((door) => [what, door, lose] as const)))(
  'what is under way when %s is lost on the %s bus is answered by the other',
  async (_what, door, lose) => {
    const { clock, networks, host, links, asked, told, onAsk, stop } = await stage();
    const late: ((answer: AnswerBody) => void)[] = [];
    onAsk(() => new Promise((resolve) => void late.push(resolve)));
    const answered = links.ask('jobs', DISCARD);
    await clock.run(100);
    expect(asked).toHaveLength(1);

    lose(networks[door]);
    for (const resolve of late.splice(0)) resolve({ result: 'ok' });
    onAsk(() => Promise.resolve({ result: 'ok' }));
    host.tell({ op: 'available', queue: 'main', count: 1 });
    await clock.run(8_000);

    await expect(answered).resolves.toEqual({ result: 'ok' });
    expect(links.isOpen('jobs')).toBe(true);
    expect(host.isConnected).toBe(true);
    expect(told.map(({ op }) => op)).toContain('available');
    await stop();
  },
);

it('both ways are used again once the lost one is back and the other is lost', async () => {
  const { clock, networks, links, asked, stop } = await stage();
  for (const door of [...DOORS, ...DOORS]) {
    networks[door].disconnect(ADAPTER);
    await clock.run(100);
    await expect(answerOf(links.ask('jobs', DISCARD), clock.run(8_000))).resolves.toEqual({ result: 'ok' });
    networks[door].reconnect(ADAPTER);
    await clock.run(20_000);
  }
  expect(asked.length).toBeGreaterThanOrEqual(2 * DOORS.length);
  await stop();
});

it('what an adapter tells is told once, though it has two sessions', async () => {
  const { clock, host, told, stop } = await stage();
  host.tell({ op: 'available', queue: 'main', count: 1 });
  await clock.run(4_000);
  expect(told).toHaveLength(1);
  await stop();
});

it.each(DOORS)(
  'what is asked goes by the %s bus where that is near, for as long as it works',
  async (near) => {
    const { clock, networks, host, links, stop } = await stage(near);
    const far = DOORS.find((door) => door !== near)!;
    const ask = (withinMs: number) => answerOf(links.ask('jobs', DISCARD), clock.run(withinMs));
    const heal = networks[near].partition([ADAPTER]);
    await expect(ask(12_000)).resolves.toEqual({ result: 'ok' });
    networks[near].disconnect(ADAPTER);
    heal();
    networks[near].reconnect(ADAPTER);
    await clock.run(20_000);
    host.tell({ op: 'available', queue: 'main', count: 1 });
    await clock.run(100);
    networks[far].partition([ADAPTER]);
    await expect(ask(100)).resolves.toEqual({ result: 'ok' });
    await stop();
  },
);

async function answerOf<T>(answer: Promise<T>, meanwhile: Promise<void>): Promise<T> {
  await meanwhile;
  return answer;
}
