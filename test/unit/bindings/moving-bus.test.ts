import { describe, expect, it } from 'vitest';
import type { AmqpAgentBus } from '../../../protocol/bindings/amqp-agent.ts';
import { BROKER_ADDRESS } from '../../../protocol/bindings/bus.ts';
import { createMemoryNetwork, type MemoryNetwork } from '../../../protocol/bindings/memory.ts';
import { createMovingBus } from '../../../protocol/bindings/moving-bus.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import { busConformance } from '../../conformance/bus.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';
import { silentLog } from '../../doubles/silent-log.ts';

const AGENT = 'agent-1';
const HELLO = Uint8Array.of(1);
const FRAME = Uint8Array.of(4, 2);
/** The longest pause before the first move, and a little. */
const A_MOVE_MS = 600;

function onNetwork(network: MemoryNetwork): AmqpAgentBus {
  return Object.assign(network.bus(AGENT), { identityRenewed: async () => undefined });
}

busConformance({
  name: 'the only bus of an agent that could move',
  handlersAtOnce: 64,
  outboxFrames: 0,
  async pair(clock) {
    const network = createMemoryNetwork({ clock, onError: () => undefined });
    return {
      broker: network.bus(BROKER_ADDRESS),
      client: createMovingBus({
        urls: () => ['first:'],
        open: async () => onNetwork(network),
        clock,
        random: createSeededRandom(1),
        log: silentLog,
      }),
      async interrupt(broker, whileDown) {
        network.disconnect(AGENT);
        await whileDown();
        network.reconnect(AGENT);
        return broker;
      },
      release: async () => undefined,
    };
  },
});

/** An agent's bus over as many networks as there are addresses, each with a broker that notes what it hears. */
async function stage(urls: readonly string[] = ['first:', 'second:', 'third:']) {
  const clock = createManualClock();
  const networks = new Map(urls.map((url) => [url, createMemoryNetwork({ clock })]));
  const heard: string[] = [];
  const states: string[] = [];
  const opened: string[] = [];
  const refused = new Set<string>();
  let given = urls;
  for (const [url, network] of networks) {
    const broker = network.bus(BROKER_ADDRESS);
    broker.onFrame((_from, frame) => void heard.push(`${url} ${frame.join()}`));
    await broker.start();
  }
  const bus = createMovingBus({
    urls: () => given,
    open: async (url) => {
      opened.push(url);
      const network = networks.get(url);
      if (network === undefined || refused.has(url))
        throw new CoPilotError('NOT_AUTHORIZED', `${url} is in the clear`);
      return onNetwork(network);
    },
    clock,
    random: createSeededRandom(2),
    log: silentLog,
  });
  bus.onConnection((state) => void states.push(state));
  const network = (url: string): MemoryNetwork => networks.get(url) ?? createMemoryNetwork({ clock });
  return {
    bus,
    clock,
    heard,
    states,
    opened,
    refused,
    network,
    give: (next: readonly string[]) => void (given = next),
    /** The agent is on a bus and has a session there. */
    settle: async () => {
      await bus.start();
      await bus.send(BROKER_ADDRESS, HELLO);
      bus.served();
      await clock.run(0);
    },
  };
}

// proves: B-22
describe('an agent with several buses', () => {
  it('begins on the first, and moves to the next when its connection is lost, in a circle', async () => {
    const { bus, clock, heard, states, opened, network, settle } = await stage(['first:', 'second:']);
    await settle();
    for (const url of ['first:', 'second:', 'first:']) {
      network(url).disconnect(AGENT);
      await expect(bus.send(BROKER_ADDRESS, FRAME)).rejects.toMatchObject({ code: 'BUS_CLOSED' });
      await clock.run(A_MOVE_MS);
      await bus.send(BROKER_ADDRESS, HELLO);
      bus.served();
      network(url).reconnect(AGENT);
      await clock.run(30_000);
    }
    expect(opened).toEqual(['first:', 'second:', 'first:', 'second:']);
    expect(heard).toEqual(['first: 1', 'second: 1', 'first: 1', 'second: 1']);
    expect(states).toEqual(['up', 'down', 'up', 'down', 'up', 'down', 'up']);
    await bus.stop();
    expect(clock.pending()).toBe(0);
  });

  it('stays where it works, also when the first is well again', async () => {
    const { bus, clock, opened, network, settle } = await stage();
    await settle();
    network('first:').disconnect(AGENT);
    await clock.run(A_MOVE_MS);
    bus.served();
    network('first:').reconnect(AGENT);
    for (let hour = 0; hour < 24; hour++) {
      await bus.send(BROKER_ADDRESS, HELLO);
      bus.served();
      await clock.run(3_600_000);
    }
    expect(opened).toEqual(['first:', 'second:']);
    await bus.stop();
  });

  it('leaves one by which no session comes, after 5 s at first and 20 s at most', async () => {
    const { bus, clock, opened, states } = await stage(['first:', 'second:']);
    await bus.start();
    const moves: number[] = [];
    for (let second = 0; second < 120; second++) {
      const before = opened.length;
      await clock.run(1_000);
      await bus.send(BROKER_ADDRESS, HELLO).catch(() => undefined);
      if (opened.length > before) moves.push(second);
    }
    const stays = moves.map((at, move) => at - (moves[move - 1] ?? 0));
    expect(stays[0]).toBeLessThanOrEqual(6);
    expect(Math.max(...stays)).toBeGreaterThan(20);
    // With the pause between attempts, which is 15 s at most.
    expect(Math.max(...stays)).toBeLessThanOrEqual(36);
    expect(states.filter((state) => state === 'up').length).toBe(opened.length);
    await bus.stop();
  });

  it('leaves one that brings frames and no session: whoever runs a bus could write those', async () => {
    const { bus, clock, opened, network } = await stage();
    const broker = network('first:').bus(BROKER_ADDRESS);
    broker.onFrame((from) => void broker.send(from, FRAME));
    await broker.start();
    await bus.start();
    for (let second = 0; second < 8; second++) {
      await bus.send(BROKER_ADDRESS, HELLO).catch(() => undefined);
      await clock.run(1_000);
    }
    expect(opened).toEqual(['first:', 'second:']);
    await bus.stop();
  });

  it('hears nothing any more from one that it has left', async () => {
    const { bus, clock, network, settle } = await stage();
    const frames: string[] = [];
    bus.onFrame((from) => void frames.push(from));
    await settle();
    const late = network('first:').bus('broker:late');
    await late.start();
    network('first:').disconnect(AGENT);
    await clock.run(A_MOVE_MS);
    network('first:').reconnect(AGENT);
    await late.send(AGENT, FRAME).catch(() => undefined);
    await clock.run(1_000);
    expect(frames).toEqual([]);
    await bus.stop();
  });

  it('passes over an address that must not be used, and ends where none may', async () => {
    const { bus, clock, opened, refused, settle } = await stage(['first:', 'second:']);
    refused.add('first:');
    const settled = settle();
    await clock.run(A_MOVE_MS);
    await settled;
    expect(opened).toEqual(['first:', 'second:']);
    await bus.stop();

    const none = await stage(['first:', 'second:']);
    none.refused.add('first:').add('second:');
    const started = expect(none.bus.start()).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' });
    await none.clock.run(2 * A_MOVE_MS);
    await started;
    await none.bus.stop();
    expect(none.clock.pending()).toBe(0);
  });

  it('moves at once from an address that a renewal has taken back, and to one that it brought', async () => {
    const { bus, clock, opened, give, settle } = await stage();
    give(['first:', 'second:']);
    await settle();
    give(['third:']);
    await bus.identityRenewed();
    await clock.run(A_MOVE_MS);
    expect(opened).toEqual(['first:', 'third:']);
    bus.served();
    await bus.identityRenewed();
    await clock.run(60_000);
    expect(opened).toEqual(['first:', 'third:']);
    await bus.stop();
  });

  it('ends in the middle of a move', async () => {
    const { bus, clock, opened, network, settle } = await stage();
    await settle();
    network('first:').disconnect(AGENT);
    await bus.stop();
    await clock.run(60_000);
    expect(opened).toEqual(['first:']);
    expect(clock.pending()).toBe(0);
    await expect(bus.start()).rejects.toMatchObject({ code: 'BUS_CLOSED' });
  });
});
