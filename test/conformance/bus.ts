import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Address, BROKER_ADDRESS, type Bus, MAX_FRAME_BYTES } from '../../protocol/bindings/bus.ts';
import type { Clock } from '../../protocol/runtime/runtime.ts';
import { nodeClock } from '../../protocol/runtime/node-runtime.ts';
import { type CountingClock, createCountingClock } from '../doubles/counting-clock.ts';

/** A broker's port and a client's that can reach it, neither started. */
export interface BusPair {
  readonly broker: Bus;
  readonly client: Bus;
  /** Cuts the connection from outside, as a network does, or ends the broker; returns the broker's port afterwards, started. */
  interrupt(broker: Bus, whileDown: () => Promise<void>): Promise<Bus>;
  /** Releases what the pair holds besides its two ports. */
  release(): Promise<void>;
}

export interface BusConformanceOptions {
  readonly name: string;
  pair(clock: Clock): Promise<BusPair>;
  /** Handlers of one connection that may run at once. */
  readonly handlersAtOnce: number;
  /** Frames that `send` takes while disconnected; 0 where it refuses all. */
  readonly outboxFrames: number;
}

const DEADLINE = { timeout: 10_000, interval: 5 };
const text = (frame: Uint8Array) => Buffer.from(frame).toString();
const bytes = (what: string) => new TextEncoder().encode(what);
const code = (expected: string) => expect.objectContaining({ code: expected });

/** What every binding promises, whatever carries its frames (protocol/bindings/bus.ts). */
export function busConformance(options: BusConformanceOptions): void {
  describe(`${options.name}: bus port`, () => {
    let clock: CountingClock;
    let pair: BusPair;
    let buses: Bus[];

    beforeEach(async () => {
      clock = createCountingClock(nodeClock);
      pair = await options.pair(clock);
      buses = [pair.client, pair.broker];
    });
    afterEach(async () => {
      for (const bus of buses) await bus.stop();
      await pair.release();
    });

    const start = async () => {
      await pair.broker.start();
      await pair.client.start();
    };
    const record = (bus: Bus) => {
      const frames: { from: Address; frame: Uint8Array }[] = [];
      bus.onFrame((from, frame) => void frames.push({ from, frame }));
      return frames;
    };

    it('carries a question to the broker and an answer to where it came from', async () => {
      pair.broker.onFrame((from, frame) => pair.broker.send(from, bytes(`answer to ${text(frame)}`)));
      const answers = record(pair.client);
      await start();
      await pair.client.send(BROKER_ADDRESS, bytes('question'));
      await vi.waitFor(
        () => expect(answers.map(({ frame }) => text(frame))).toEqual(['answer to question']),
        DEADLINE,
      );
      expect(answers[0]?.from).toBe(BROKER_ADDRESS);
    });

    it('names senders in printable ASCII of at most 200 characters', async () => {
      const frames = record(pair.broker);
      await start();
      await pair.client.send(BROKER_ADDRESS, bytes('x'));
      await vi.waitFor(() => expect(frames).toHaveLength(1), DEADLINE);
      expect(frames[0]?.from).toMatch(/^[\x21-\x7e]{1,200}$/);
    });

    it.each([1, 2, 125, 126, 65, 4096, 32 * 1024, MAX_FRAME_BYTES])(
      'carries %i bytes of any value unchanged',
      async (length) => {
        const frames = record(pair.broker);
        await start();
        const sent = Uint8Array.from({ length }, (_, at) => (at * 7 + length) & 0xff);
        await pair.client.send(BROKER_ADDRESS, sent);
        await vi.waitFor(() => expect(frames).toHaveLength(1), DEADLINE);
        expect(Buffer.compare(frames[0]!.frame, sent)).toBe(0);
      },
    );

    it('carries 300 frames, each at least once', async () => {
      const frames = record(pair.broker);
      await start();
      await Promise.all(
        Array.from({ length: 300 }, (_, at) => pair.client.send(BROKER_ADDRESS, bytes(String(at)))),
      );
      await vi.waitFor(
        () => expect(new Set(frames.map(({ frame }) => text(frame))).size).toBe(300),
        DEADLINE,
      );
    });

    it('refuses a frame over the bound on either side, and carries the next', async () => {
      const frames = record(pair.broker);
      await start();
      const tooLarge = new Uint8Array(MAX_FRAME_BYTES + 1);
      await expect(pair.client.send(BROKER_ADDRESS, tooLarge)).rejects.toEqual(code('FRAME_TOO_LARGE'));
      await expect(pair.broker.send('anybody', tooLarge)).rejects.toEqual(code('FRAME_TOO_LARGE'));
      await pair.client.send(BROKER_ADDRESS, bytes('next'));
      await vi.waitFor(() => expect(frames).toHaveLength(1), DEADLINE);
    });

    it('refuses to send before start and after stop', async () => {
      await expect(pair.client.send(BROKER_ADDRESS, bytes('early'))).rejects.toEqual(code('BUS_CLOSED'));
      await expect(pair.broker.send('anybody', bytes('early'))).rejects.toEqual(code('BUS_CLOSED'));
      await start();
      for (const bus of buses) await bus.stop();
      await expect(pair.client.send(BROKER_ADDRESS, bytes('late'))).rejects.toEqual(code('BUS_CLOSED'));
      await expect(pair.broker.send('anybody', bytes('late'))).rejects.toEqual(code('BUS_CLOSED'));
      await expect(pair.client.start()).rejects.toEqual(code('BUS_CLOSED'));
    });

    it('says that nobody is at an address', async () => {
      await start();
      await expect(pair.broker.send('peer-0000000000000000', bytes('x'))).rejects.toEqual(
        code('UNREACHABLE'),
      );
      await expect(pair.client.send('peer-0000000000000000', bytes('x'))).rejects.toEqual(
        code('UNREACHABLE'),
      );
    });

    it('starts and stops as often as it is told, once', async () => {
      const states: string[] = [];
      pair.client.onConnection((state) => states.push(state));
      await start();
      await start();
      expect(states).toEqual(['up']);
      await Promise.all([pair.client.stop(), pair.client.stop()]);
      await pair.client.stop();
    });

    it('runs no more handlers at once than its bound, and loses nothing that waits', async () => {
      let running = 0;
      let most = 0;
      let handled = 0;
      const release = Promise.withResolvers<undefined>();
      pair.broker.onFrame(async () => {
        most = Math.max(most, ++running);
        await release.promise;
        running--;
        handled++;
      });
      await start();
      const sent = options.handlersAtOnce * 4;
      for (let at = 0; at < sent; at++) await pair.client.send(BROKER_ADDRESS, bytes(String(at)));
      await vi.waitFor(() => expect(running).toBe(options.handlersAtOnce), DEADLINE);
      release.resolve(undefined);
      await vi.waitFor(() => expect(handled).toBeGreaterThanOrEqual(sent), DEADLINE);
      expect(most).toBe(options.handlersAtOnce);
    });

    it('goes on after a handler that throws and one that rejects', async () => {
      const handled: string[] = [];
      pair.broker.onFrame((_from, frame) => {
        handled.push(text(frame));
        if (handled.length === 1) throw new Error('thrown by the test');
        return handled.length === 2 ? Promise.reject(new Error('rejected by the test')) : undefined;
      });
      await start();
      for (const what of ['one', 'two', 'three']) await pair.client.send(BROKER_ADDRESS, bytes(what));
      await vi.waitFor(() => expect(handled).toHaveLength(3), DEADLINE);
    });

    it('tells the broker that a client is gone, by the address its frames came from', async () => {
      const frames = record(pair.broker);
      const gone: Address[] = [];
      pair.broker.onGone((address) => gone.push(address));
      await start();
      await pair.client.send(BROKER_ADDRESS, bytes('x'));
      await vi.waitFor(() => expect(frames).toHaveLength(1), DEADLINE);
      await pair.client.stop();
      await vi.waitFor(() => expect(gone).toEqual([frames[0]?.from]), DEADLINE);
      await expect(pair.broker.send(gone[0]!, bytes('x'))).rejects.toEqual(code('UNREACHABLE'));
    });

    it('reconnects by itself and tells of both, and frames pass again', async () => {
      const states: string[] = [];
      pair.client.onConnection((state) => states.push(state));
      await start();
      const broker = await pair.interrupt(pair.broker, () =>
        vi.waitFor(() => expect(states).toEqual(['up', 'down']), DEADLINE),
      );
      buses.push(broker);
      const frames = record(broker);
      await vi.waitFor(() => expect(states).toEqual(['up', 'down', 'up']), DEADLINE);
      await pair.client.send(BROKER_ADDRESS, bytes('again'));
      await vi.waitFor(() => expect(frames.map(({ frame }) => text(frame))).toContain('again'), DEADLINE);
    });

    it(`takes ${options.outboxFrames} frames while disconnected, refuses more, and delivers those it took`, async () => {
      const states: string[] = [];
      pair.client.onConnection((state) => states.push(state));
      await start();
      const broker = await pair.interrupt(pair.broker, async () => {
        await vi.waitFor(() => expect(states).toContain('down'), DEADLINE);
        for (let at = 0; at < options.outboxFrames; at++)
          await pair.client.send(BROKER_ADDRESS, bytes(`kept ${at}`));
        await expect(pair.client.send(BROKER_ADDRESS, bytes('too much'))).rejects.toEqual(code('BUS_CLOSED'));
      });
      buses.push(broker);
      const frames = record(broker);
      await vi.waitFor(() => expect(frames).toHaveLength(options.outboxFrames), DEADLINE);
    });

    it('finishes a handler that runs when it stops, its answer included, and calls none afterwards', async () => {
      const answers = record(pair.client);
      const release = Promise.withResolvers<undefined>();
      let handled = 0;
      pair.broker.onFrame(async (from) => {
        handled++;
        await release.promise;
        await pair.broker.send(from, bytes('last words'));
      });
      await start();
      await pair.client.send(BROKER_ADDRESS, bytes('x'));
      await vi.waitFor(() => expect(handled).toBe(1), DEADLINE);
      const stopped = pair.broker.stop();
      release.resolve(undefined);
      await stopped;
      await vi.waitFor(
        () => expect(answers.map(({ frame }) => text(frame))).toEqual(['last words']),
        DEADLINE,
      );
      expect(handled).toBe(1);
    });

    it('leaves no timer and no socket when it has stopped', async () => {
      const sockets = () =>
        process.getActiveResourcesInfo().filter((kind) => /^(TCP|Pipe)/.test(kind)).length;
      // Of the test before, some may still be closing.
      const before = sockets();
      const frames = record(pair.broker);
      await start();
      await pair.client.send(BROKER_ADDRESS, bytes('x'));
      await vi.waitFor(() => expect(frames).toHaveLength(1), DEADLINE);
      for (const bus of buses) await bus.stop();
      expect(clock.pending()).toBe(0);
      await vi.waitFor(() => expect(sockets()).toBeLessThanOrEqual(before), DEADLINE);
    });

    it('can be stopped before it was started, and while it starts', async () => {
      const starting = pair.client.start();
      await Promise.all([starting.catch(() => undefined), pair.client.stop()]);
      await pair.broker.stop();
      expect(clock.pending()).toBe(0);
    });
  });
}
