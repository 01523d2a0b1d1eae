import { describe, expect, it } from 'vitest';
import { encodeHint } from '../../../protocol/session/header.ts';
import { createInitiator } from '../../../protocol/session/initiator.ts';
import type { Pattern } from '../../../protocol/session/noise.ts';
import { ADDRESS, createSessionWorld, encode, type SessionWorld, WIDE } from '../../doubles/session-world.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const take = (wire: Uint8Array[]) => wire.splice(0);
const patterns: Pattern[] = ['XX', 'IK'];

/** When frames were put on the wire while the clock ran on with nobody answering. */
function sendTimes(world: SessionWorld, forMs: number): number[] {
  const times: number[] = [];
  for (let ms = 0; ms < forMs; ms += 50) {
    world.clock.advance(50);
    for (let count = take(world.toResponder).length; count > 0; count--)
      times.push(world.clock.monotonicMs());
  }
  return times;
}

describe.each(patterns)('%s initiator', (pattern) => {
  const create = () => createSessionWorld({ pattern, limits: WIDE });

  it('repeats message 1, byte by byte the same, after about 1, 2, 4, 8, 10, 10 s', () => {
    const world = create();
    world.initiator.connect();
    const [first] = take(world.toResponder);
    const times = sendTimes(world, 50 * SECOND);
    const gaps = times.map((time, at) => (time - (times[at - 1] ?? 0)) / SECOND);
    for (const [at, nominal] of [1, 2, 4, 8, 10, 10].entries()) {
      expect(gaps[at]).toBeGreaterThanOrEqual(nominal * 0.75);
      expect(gaps[at]).toBeLessThanOrEqual(nominal + 0.05);
    }
    world.clock.advance(10 * SECOND);
    expect(take(world.toResponder)[0]).toEqual(first);
  });

  it('opens although every message is lost at first, and then repeats nothing', () => {
    const world = create();
    world.initiator.connect();
    for (let lost = 0; lost < 3; lost++) {
      take(world.toResponder);
      world.clock.advance(12 * SECOND);
    }
    world.settle();
    expect(world.initiator.isOpen).toBe(true);
    expect(sendTimes(world, 60 * SECOND)).toEqual([]);
  });

  it('confirms although the confirmation is lost', () => {
    const world = create();
    world.initiator.connect();
    world.responder.receive(ADDRESS, take(world.toResponder)[0]!);
    world.initiator.receive(take(world.toInitiator)[0]!);
    for (const frame of take(world.toResponder)) world.responder.receive(ADDRESS, frame);
    expect(take(world.toInitiator)).toHaveLength(1);
    world.clock.advance(2 * SECOND);
    world.settle();
    expect(world.initiator.isOpen).toBe(true);
    expect(world.sessions).toHaveLength(1);
    expect(sendTimes(world, 60 * SECOND)).toEqual([]);
  });

  it('begins anew when a responder has forgotten the handshake before it was confirmed', () => {
    const world = create();
    world.initiator.connect();
    world.responder.receive(ADDRESS, take(world.toResponder)[0]!);
    world.initiator.receive(take(world.toInitiator)[0]!);
    const frames: Uint8Array[] = [];
    for (let ms = 0; ms < 45 * SECOND; ms += 500) {
      world.clock.advance(500);
      frames.push(...take(world.toResponder));
    }
    expect(frames.some((frame) => frame[0] === 1)).toBe(true);
    world.clock.advance(10 * SECOND);
    world.settle();
    expect(world.initiator.send(encode('x'))).toBe(true);
  });

  it('sends nothing before there is a session', () => {
    const world = create();
    expect(world.initiator.send(encode('early'))).toBe(false);
    world.initiator.connect();
    expect(world.initiator.send(encode('early'))).toBe(false);
    expect(take(world.toResponder)).toHaveLength(1);
  });

  it('keeps the older session usable until the newer is confirmed, and receives on it for 30 s more', () => {
    const world = create();
    const older = world.open();
    world.initiator.connect();
    take(world.toResponder);
    expect(world.initiator.send(encode('meanwhile'))).toBe(true);
    world.settle();
    expect(world.atResponder.at(-1)).toEqual({ session: older, text: 'meanwhile' });
    world.clock.advance(3 * SECOND);
    world.settle();
    const newer = world.sessions.at(-1)!;
    expect(newer).not.toBe(older);
    older.send(encode('from the older'));
    world.settle();
    expect(world.atInitiator).toEqual(['from the older']);
    world.clock.advance(31 * SECOND);
    older.send(encode('too late'));
    newer.send(encode('from the newer'));
    world.settle();
    expect(world.atInitiator).toEqual(['from the older', 'from the newer']);
  });

  it('renews within the hour, without losing a message', () => {
    const world = create();
    world.open();
    for (let ms = 0; ms < HOUR; ms += 60 * SECOND) {
      world.clock.advance(60 * SECOND);
      world.settle();
      expect(world.initiator.send(encode(`at ${ms}`))).toBe(true);
      world.settle();
    }
    expect(world.sessions.length).toBeGreaterThanOrEqual(2);
    expect(world.atResponder).toHaveLength(60);
    expect(world.lost).toEqual([]);
  });

  it('ends after a day in which no renewal succeeded, and goes on trying', () => {
    const world = create();
    world.open();
    world.clock.advance(24 * HOUR - SECOND);
    take(world.toResponder);
    expect(world.initiator.send(encode('just in time'))).toBe(true);
    world.clock.advance(2 * SECOND);
    expect(world.initiator.send(encode('too late'))).toBe(false);
    expect(world.lost).toEqual(['expired']);
    world.clock.advance(10 * SECOND);
    world.settle();
    expect(world.initiator.send(encode('again'))).toBe(true);
  });

  it.each([61, -61, 86_400])(
    'ends its session and seals nothing after the wall clock jumped by %i s',
    (seconds) => {
      const world = create();
      world.open();
      world.clock.jumpWall(seconds * SECOND);
      expect(world.initiator.send(encode('under a used counter'))).toBe(false);
      expect(world.lost).toEqual(['clock-jump']);
      const sent = take(world.toResponder);
      expect(sent.map((frame) => frame[0])).toEqual([1]);
      for (const frame of sent) world.responder.receive(ADDRESS, frame);
      world.settle();
      expect(world.initiator.send(encode('under a new key'))).toBe(true);
    },
  );

  it('takes a clock that is corrected by less than a minute as it is', () => {
    const world = create();
    world.open();
    world.clock.jumpWall(59 * SECOND);
    expect(world.initiator.send(encode('x'))).toBe(true);
    expect(world.lost).toEqual([]);
  });

  it('answers no message 2 after a jump: the handshake’s keys may have served before', () => {
    const world = create();
    world.initiator.connect();
    const [first] = take(world.toResponder);
    world.responder.receive(ADDRESS, first!);
    world.clock.jumpWall(-3600 * SECOND);
    for (const answer of take(world.toInitiator)) world.initiator.receive(answer);
    const sent = take(world.toResponder);
    expect(sent.map((frame) => frame[0])).toEqual([1]);
    expect(sent[0]).not.toEqual(first);
  });

  describe('told that its session is unknown', () => {
    it('starts one handshake in 10 s, however often it is told, and gives nothing up for it', () => {
      const world = create();
      const session = world.open();
      const hellos = (): number => take(world.toResponder).filter((frame) => frame[0] === 1).length;
      for (let times = 0; times < 100; times++) world.initiator.receive(encodeHint(session.id));
      expect(hellos()).toBe(1);
      expect(world.lost).toEqual([]);
      expect(world.initiator.send(encode('still here'))).toBe(true);
      world.settle();
      expect(world.atResponder).toHaveLength(1);
    });

    it('believes it again only 10 s later, handshake finished or not', () => {
      const world = create();
      let session = world.open();
      world.initiator.receive(encodeHint(session.id));
      world.settle();
      session = world.sessions.at(-1)!;
      world.clock.advance(9 * SECOND);
      world.initiator.receive(encodeHint(session.id));
      expect(take(world.toResponder)).toEqual([]);
      world.clock.advance(2 * SECOND);
      world.initiator.receive(encodeHint(session.id));
      expect(take(world.toResponder).map((frame) => frame[0])).toEqual([1]);
      expect(world.initiator.counters.hints).toBe(2);
    });

    it('ignores hints about sessions it does not have', () => {
      const world = create();
      world.open();
      world.initiator.receive(encodeHint(new Uint8Array(8).fill(7)));
      expect(take(world.toResponder)).toEqual([]);
    });
  });

  describe('that hears nothing', () => {
    const quiet = () => createSessionWorld({ pattern, limits: WIDE, quietMs: 20 * SECOND });
    const kinds = (world: SessionWorld) => take(world.toResponder).map((frame) => frame[0]);

    it('asks for a sign of life after 15 to 20 s, and again as long after the answer', () => {
      const world = quiet();
      world.open();
      for (let turn = 0; turn < 10; turn++) {
        world.clock.advance(15 * SECOND - 1);
        expect(world.toResponder).toEqual([]);
        world.clock.advance(5 * SECOND + 1);
        expect(world.toResponder).toHaveLength(1);
        world.settle();
      }
      expect(world.atResponder).toEqual([]);
      expect(world.atInitiator).toEqual([]);
      expect(world.sessions).toHaveLength(1);
    });

    it('asks nothing while it is spoken to', () => {
      const world = quiet();
      const session = world.open();
      for (let turn = 0; turn < 10; turn++) {
        world.clock.advance(14 * SECOND);
        session.send(encode('a notice'));
        world.settle();
      }
      expect(world.toResponder).toEqual([]);
      world.clock.advance(20 * SECOND);
      expect(world.toResponder).toHaveLength(1);
    });

    it('hears from a responder that was started again that its session is unknown, and opens another', () => {
      const world = quiet();
      world.open();
      world.restartResponder();
      world.clock.advance(20 * SECOND);
      world.settle();
      expect(world.sessions).toHaveLength(2);
      expect(world.opens).toHaveLength(2);
      expect(world.lost).toEqual([]);
    });

    it('begins a handshake when it has asked three times in vain, and gives nothing up for it', () => {
      const world = quiet();
      world.open();
      for (let asked = 0; asked < 3; asked++) {
        world.clock.advance(15 * SECOND);
        expect(kinds(world)).not.toContain(1);
      }
      world.clock.advance(35 * SECOND);
      expect(kinds(world)).toContain(1);
      expect(world.initiator.send(encode('still here'))).toBe(true);
      world.settle();
      expect(world.atResponder).toHaveLength(1);
      expect(world.lost).toEqual([]);
    });

    it('seals nothing after a jump of the clock', () => {
      const world = quiet();
      world.open();
      world.clock.jumpWall(HOUR);
      world.clock.advance(20 * SECOND);
      expect(new Set(kinds(world))).toEqual(new Set([1]));
      expect(world.lost).toEqual(['clock-jump']);
    });

    it('leaves no timer when it is closed', () => {
      const world = quiet();
      world.open();
      world.responder.stop();
      world.initiator.close();
      expect(world.clock.pending()).toBe(0);
    });
  });

  it('takes the first of several messages 2, and ignores the rest', () => {
    const world = create();
    world.initiator.connect();
    const [hello] = take(world.toResponder);
    world.responder.receive(ADDRESS, hello!);
    world.responder.receive('peer-2', hello!);
    const answers = take(world.toInitiator);
    expect(answers).toHaveLength(2);
    expect(answers[0]).not.toEqual(answers[1]);
    for (const answer of answers.toReversed()) world.initiator.receive(answer);
    world.settle();
    expect(world.sessions).toHaveLength(1);
    expect(world.opens).toHaveLength(1);
  });

  it('forgets its session when it is disconnected, and waits to be told to connect', () => {
    const world = create();
    world.open();
    world.initiator.disconnect();
    world.initiator.disconnect();
    expect(world.lost).toEqual(['disconnected']);
    expect(world.initiator.send(encode('x'))).toBe(false);
    expect(world.initiator.isOpen).toBe(false);
    world.open();
    expect(world.initiator.send(encode('x'))).toBe(true);
  });

  it('leaves no timer when closed, and does nothing any more', () => {
    const world = create();
    world.open();
    world.initiator.connect();
    world.responder.stop();
    world.initiator.close();
    world.initiator.connect();
    take(world.toResponder);
    world.initiator.receive(encodeHint(world.sessions[0]!.id));
    expect(world.clock.pending()).toBe(0);
    expect(take(world.toResponder)).toEqual([]);
    expect(world.initiator.send(encode('x'))).toBe(false);
    expect(world.lost).toEqual([]);
  });

  it('refuses a message over 32 KiB and carries one of exactly that', () => {
    const world = create();
    world.open();
    expect(() => world.initiator.send(new Uint8Array(32 * 1024 + 1))).toThrow(
      expect.objectContaining({ code: 'FRAME_TOO_LARGE' }),
    );
    expect(world.initiator.send(new Uint8Array(32 * 1024).fill(97))).toBe(true);
    world.settle();
    expect(world.atResponder[0]?.text).toHaveLength(32 * 1024);
  });
});

describe('how much one key may seal', () => {
  // Sealing a GiB takes seconds; what counts here is the counting.
  const cheap = (length: number) => {
    const sealed = new Uint8Array(length);
    let isCheap = false;
    const world = createSessionWorld({
      pattern: 'XX',
      limits: WIDE,
      wrapCrypto: (crypto) => ({
        ...crypto,
        seal: (...given) => (isCheap ? sealed : crypto.seal(...given)),
      }),
    });
    const session = world.open();
    isCheap = true;
    const hellosAfter = (times: number): number => {
      const message = new Uint8Array(length - 17);
      let hellos = 0;
      for (let at = 0; at < times; at++) {
        world.initiator.send(message);
        for (const frame of take(world.toResponder)) if (frame[0] === 1) hellos++;
      }
      return hellos;
    };
    return { world, session, hellosAfter };
  };

  it('renews after 1 GiB, once, and goes on meanwhile', () => {
    const { hellosAfter } = cheap(32 * 1024 + 17);
    expect(hellosAfter(32_700)).toBe(0);
    expect(hellosAfter(100)).toBe(1);
    expect(hellosAfter(100)).toBe(0);
  });

  it('renews after 2^20 frames', () => {
    const { hellosAfter } = cheap(18);
    expect(hellosAfter(2 ** 20 - 2)).toBe(0);
    expect(hellosAfter(2)).toBe(1);
  });
});

describe('an initiator that refuses its responder', () => {
  it('throws where its own identity is too large, instead of sending what nobody takes', () => {
    const world = createSessionWorld({ pattern: 'XX' });
    const sent: Uint8Array[] = [];
    const initiator = createInitiator({
      runtime: {
        clock: createManualClock(),
        random: createSeededRandom(3),
        crypto: world.crypto,
        log: silentLog,
      },
      pattern: 'XX',
      staticKey: world.crypto.generate('x25519'),
      prologue: { installation: 'test', responderRole: 'broker' },
      onResponderHello: (payload2) => ({
        payload3: new Uint8Array(33 * 1024),
        sessionId: payload2.slice(0, 8),
      }),
      send: (frame) => void sent.push(frame),
      onOpen: () => expect.unreachable(),
      onMessage: () => expect.unreachable(),
      onLost: () => expect.unreachable(),
    });
    initiator.connect();
    world.responder.receive(ADDRESS, sent.splice(0)[0]!);
    const [answer] = take(world.toInitiator);
    expect(() => initiator.receive(answer!)).toThrow(expect.objectContaining({ code: 'FRAME_TOO_LARGE' }));
    expect(sent).toEqual([]);
  });

  it.each([
    ['says no', () => undefined],
    [
      'cannot read what it said',
      () => {
        throw new Error('malformed');
      },
    ],
    [
      'reads a session id of the wrong length',
      () => ({ payload3: new Uint8Array(8), sessionId: new Uint8Array(7) }),
    ],
  ])('(%s) tells it nothing and waits for another', (_why, onResponderHello) => {
    const world = createSessionWorld({ pattern: 'XX' });
    const random = createSeededRandom(3);
    const sent: Uint8Array[] = [];
    const initiator = createInitiator({
      runtime: { clock: createManualClock(), random, crypto: world.crypto, log: silentLog },
      pattern: 'XX',
      staticKey: world.crypto.generate('x25519'),
      prologue: { installation: 'test', responderRole: 'broker' },
      onResponderHello,
      send: (frame) => void sent.push(frame),
      onOpen: () => expect.unreachable(),
      onMessage: () => expect.unreachable(),
      onLost: () => expect.unreachable(),
    });
    initiator.connect();
    world.responder.receive(ADDRESS, sent.splice(0)[0]!);
    for (const answer of take(world.toInitiator)) initiator.receive(answer);
    expect(sent).toEqual([]);
    expect(initiator.counters.refusedIdentities).toBe(1);
    expect(initiator.isOpen).toBe(false);
  });
});
