import { describe, expect, it } from 'vitest';
import { BROKER_ADDRESS, type Bus } from '../../../protocol/bindings/bus.ts';
import { createMemoryNetwork, type Faults, REORDER_MS } from '../../../protocol/bindings/memory.ts';
import { busConformance } from '../../conformance/bus.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';

busConformance({
  name: 'memory',
  handlersAtOnce: 64,
  outboxFrames: 0,
  async pair(clock) {
    const network = createMemoryNetwork({ clock, onError: () => undefined });
    return {
      broker: network.bus(BROKER_ADDRESS),
      client: network.bus('agent-1'),
      async interrupt(broker, whileDown) {
        network.disconnect('agent-1');
        await whileDown();
        network.reconnect('agent-1');
        return broker;
      },
      release: async () => undefined,
    };
  },
});

const frame = (number: number) => new Uint8Array([number >>> 8, number & 0xff]);
const numberOf = (bytes: Uint8Array) => bytes[0]! * 256 + bytes[1]!;

async function network(faults: Partial<Faults> = {}, seed = 1) {
  const clock = createManualClock();
  const net = createMemoryNetwork({ clock, random: createSeededRandom(seed), faults });
  const seen: { at: string; from: string; number: number; ms: number }[] = [];
  const join = async (address: string): Promise<Bus> => {
    const bus = net.bus(address);
    bus.onFrame(
      (from, bytes) =>
        void seen.push({ at: address, from, number: numberOf(bytes), ms: clock.monotonicMs() }),
    );
    await bus.start();
    return bus;
  };
  const [a, b] = [await join('a'), await join('b')];
  return { clock, net, seen, a, b, join, numbers: () => seen.map(({ number }) => number) };
}

describe('memory network', () => {
  it('delays by the time it is told, no less and no more', async () => {
    const { a, clock, seen } = await network({ delayMs: [20, 50] });
    for (let number = 0; number < 50; number++) await a.send('b', frame(number));
    clock.advance(19);
    expect(seen).toEqual([]);
    clock.advance(31);
    expect(seen).toHaveLength(50);
    expect(new Set(seen.map(({ ms }) => ms)).size).toBeGreaterThan(10);
  });

  it('drops, repeats and reorders at the rates it is told', async () => {
    const lossy = await network({ drop: 0.5 });
    const doubling = await network({ duplicate: 0.5 });
    const shuffling = await network({ reorder: 0.5 });
    for (const { a, clock } of [lossy, doubling, shuffling]) {
      for (let number = 0; number < 400; number++) await a.send('b', frame(number));
      clock.advance(REORDER_MS);
    }
    expect(lossy.seen.length).toBeGreaterThan(140);
    expect(lossy.seen.length).toBeLessThan(260);
    expect(doubling.seen.length).toBeGreaterThan(540);
    expect(new Set(doubling.numbers()).size).toBe(400);
    expect(shuffling.numbers().toSorted((x, y) => x - y)).toEqual(Array.from({ length: 400 }, (_, at) => at));
    expect(shuffling.numbers()).not.toEqual(shuffling.numbers().toSorted((x, y) => x - y));
  });

  it('does the same for the same seed and something else for another', async () => {
    const run = async (seed: number) => {
      const { a, clock, seen } = await network(
        { delayMs: [0, 90], drop: 0.2, duplicate: 0.2, reorder: 0.2 },
        seed,
      );
      for (let number = 0; number < 100; number++) await a.send('b', frame(number));
      clock.advance(1000);
      return seen;
    };
    expect(await run(5)).toEqual(await run(5));
    expect(await run(5)).not.toEqual(await run(6));
  });

  it('keeps faults to their direction, the most exact first', async () => {
    const { net, a, b, clock, seen, join } = await network();
    await join('c');
    net.setFaults({ drop: 1 }, { from: 'a' });
    net.setFaults({}, { from: 'a', to: 'c' });
    await a.send('b', frame(1));
    await a.send('c', frame(2));
    await b.send('a', frame(3));
    clock.advance(1);
    expect(seen.map(({ at, number }) => [at, number])).toEqual([
      ['c', 2],
      ['a', 3],
    ]);
    net.setFaults({}, { from: 'a' });
    await a.send('b', frame(4));
    clock.advance(1);
    expect(seen).toHaveLength(3);
  });

  it('parts a group from the others, also for frames on their way, until healed', async () => {
    const { net, a, b, clock, numbers, join } = await network({ delayMs: [10, 10] });
    const c = await join('c');
    await a.send('c', frame(1));
    const heal = net.partition(['a', 'b']);
    await a.send('b', frame(2));
    await b.send('c', frame(3));
    await c.send('a', frame(4));
    clock.advance(10);
    expect(numbers()).toEqual([2]);
    heal();
    await c.send('a', frame(5));
    clock.advance(10);
    expect(numbers()).toEqual([2, 5]);
  });

  it('kills: no handler is called, what is sent vanishes, others are told; a new port takes the address', async () => {
    const { net, a, b, clock, numbers, join } = await network({ delayMs: [10, 10] });
    const gone: string[] = [];
    a.onGone((address) => gone.push(address));
    await a.send('b', frame(1));
    net.kill('b');
    await b.send('a', frame(2));
    await expect(a.send('b', frame(3))).rejects.toMatchObject({ code: 'UNREACHABLE' });
    clock.advance(10);
    expect(numbers()).toEqual([]);
    expect(gone).toEqual(['b']);
    await join('b');
    await a.send('b', frame(4));
    clock.advance(10);
    expect(numbers()).toEqual([4]);
    await expect(b.send('a', frame(5))).rejects.toMatchObject({ code: 'BUS_CLOSED' });
  });

  it('revives a port that was killed, without what it missed', async () => {
    const { net, a, b, clock, numbers } = await network({ delayMs: [10, 10] });
    await a.send('b', frame(1));
    net.kill('b');
    clock.advance(10);
    net.revive('b');
    await a.send('b', frame(2));
    await b.send('a', frame(3));
    clock.advance(10);
    expect(numbers()).toEqual([2, 3]);
  });

  it('bounds what waits for one party: a sender that never stops is refused, memory stays', async () => {
    const { net, a } = await network({ delayMs: [10, 10] });
    const sent = await Promise.allSettled(Array.from({ length: 3000 }, (_, at) => a.send('b', frame(at))));
    expect(sent.filter(({ status }) => status === 'fulfilled')).toHaveLength(1024);
    expect(sent.at(-1)).toMatchObject({ status: 'rejected', reason: { code: 'UNREACHABLE' } });
    expect(net.inFlight).toBe(1024);
  });

  it('needs a random for faults that are left to chance', () => {
    const clock = createManualClock();
    expect(() => createMemoryNetwork({ clock, faults: { drop: 0.1 } })).toThrow(
      expect.objectContaining({ code: 'INTERNAL' }),
    );
    expect(() => createMemoryNetwork({ clock, faults: { delayMs: [5, 5] } })).not.toThrow();
  });

  it('leaves no timer for a port that stopped with frames on their way', async () => {
    const { a, b, clock } = await network({ delayMs: [10, 10] });
    await a.send('b', frame(1));
    await b.stop();
    expect(clock.pending()).toBe(0);
  });
});
