import { describe, expect, it } from 'vitest';
import { encodeFrame, encodeHello } from '../../../protocol/session/header.ts';
import type { Pattern } from '../../../protocol/session/noise.ts';
import {
  ADDRESS,
  createSessionWorld,
  encode,
  type SessionWorld,
  WIDE,
  type WorldOptions,
} from '../../doubles/session-world.ts';

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const patterns: Pattern[] = ['XX', 'IK'];
const take = (wire: Uint8Array[]) => wire.splice(0);

/** A true message 1 of its own for each call. */
function hellos(world: SessionWorld): () => Uint8Array {
  let seed = 100;
  return () => {
    const initiator = world.otherInitiator(seed++);
    initiator.connect();
    initiator.close();
    return take(world.toResponder)[0]!;
  };
}

describe.each(patterns)('%s responder', (pattern) => {
  const create = (options: Omit<WorldOptions, 'pattern'> = {}) => createSessionWorld({ pattern, ...options });

  it('answers five handshakes of one address at once and then one in 10 s, others’ meanwhile', () => {
    let exchanges = 0;
    const world = create({
      limits: { halfOpenPerAddress: 1000 },
      wrapCrypto: (crypto) => ({
        ...crypto,
        diffieHellman: (own, peer) => {
          exchanges++;
          return crypto.diffieHellman(own, peer);
        },
      }),
    });
    const hello = hellos(world);
    const frames = Array.from({ length: 20 }, hello);
    exchanges = 0;
    for (const frame of frames) world.responder.receive(ADDRESS, frame);
    expect(take(world.toInitiator)).toHaveLength(5);
    expect(world.responder.counters.rateLimited).toBe(15);
    const perHandshake = exchanges / 5;
    expect(Number.isInteger(perHandshake)).toBe(true);
    world.responder.receive(ADDRESS, hello());
    const afterLimit = exchanges;
    world.responder.receive('peer-2', frames[0]!);
    expect(take(world.toInitiator)).toHaveLength(1);
    expect(exchanges - afterLimit).toBe(perHandshake);
    world.clock.advance(10 * SECOND);
    for (const frame of frames) world.responder.receive(ADDRESS, frame);
    expect(take(world.toInitiator)).toHaveLength(1);
  });

  it('keeps four half-open handshakes for one address, and frees them after 30 s', () => {
    const world = create({ limits: { ...WIDE, halfOpenPerAddress: 4 } });
    const hello = hellos(world);
    for (let times = 0; times < 10; times++) world.responder.receive(ADDRESS, hello());
    expect(world.responder.halfOpenCount).toBe(4);
    expect(world.responder.counters.halfOpenFull).toBe(6);
    expect(take(world.toInitiator)).toHaveLength(4);
    world.responder.receive('peer-2', hello());
    expect(world.responder.halfOpenCount).toBe(5);
    world.clock.advance(31 * SECOND);
    world.responder.receive(ADDRESS, hello());
    expect(world.responder.halfOpenCount).toBe(1);
  });

  it('keeps a bounded number in all', () => {
    const world = create({ limits: { ...WIDE, halfOpen: 8 } });
    const hello = hellos(world);
    for (let peer = 0; peer < 30; peer++) world.responder.receive(`peer-${peer}`, hello());
    expect(world.responder.halfOpenCount).toBe(8);
    expect(world.responder.counters.halfOpenFull).toBe(22);
  });

  it('answers the same message 1 with the same message 2, in one record', () => {
    const world = create();
    world.initiator.connect();
    const [hello] = take(world.toResponder);
    for (let times = 0; times < 4; times++) world.responder.receive(ADDRESS, hello!);
    const answers = take(world.toInitiator);
    expect(answers).toHaveLength(4);
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(world.responder.halfOpenCount).toBe(1);
  });

  it('refuses an identity in silence, and repeats of it without asking again', () => {
    const world = create({ limits: WIDE, accepts: () => false });
    world.initiator.connect();
    for (let times = 0; times < 5; times++) {
      world.settle();
      world.clock.advance(2 * SECOND);
    }
    expect(world.sessions).toEqual([]);
    expect(world.initiator.isOpen).toBe(false);
    expect(world.responder.counters.refusedIdentities).toBeGreaterThan(0);
    if (pattern === 'XX') expect(world.authentications).toHaveLength(1);
  });

  it('takes no more sessions than its bound, and another when one has ended', () => {
    const world = create({ limits: { ...WIDE, sessions: 3 } });
    for (let times = 0; times < 3; times++) world.open();
    world.initiator.disconnect();
    world.initiator.connect();
    world.settle();
    expect(world.sessions).toHaveLength(3);
    expect(world.responder.counters.sessionsFull).toBeGreaterThan(0);
    world.responder.close(world.sessions[0]!);
    world.clock.advance(3 * SECOND);
    world.settle();
    expect(world.sessions).toHaveLength(4);
  });

  it('hints at an unknown session with that id, in fewer bytes than asked, five times and then one in 10 s', () => {
    const world = create();
    const unknown = new Uint8Array(8).fill(5);
    const frame = encodeFrame(unknown, 0, new Uint8Array(17));
    for (let times = 0; times < 100; times++) world.responder.receive(ADDRESS, frame);
    const hints = take(world.toInitiator);
    expect(hints).toHaveLength(5);
    for (const hint of hints) {
      expect(hint.length).toBeLessThan(frame.length);
      expect([hint[0], ...hint.subarray(4, 12)]).toEqual([5, ...unknown]);
    }
    world.clock.advance(10 * SECOND);
    for (let times = 0; times < 100; times++) world.responder.receive(ADDRESS, frame);
    expect(take(world.toInitiator)).toHaveLength(1);
    expect(world.responder.counters.unknownSession).toBe(200);
  });

  it('restarted, it has an agent back after one frame, one hint and one handshake', () => {
    const world = create();
    world.open();
    world.restartResponder();
    world.initiator.send(encode('lost with the restart'));
    world.settle();
    expect(world.sessions).toHaveLength(2);
    expect(world.initiator.send(encode('repeated'))).toBe(true);
    world.settle();
    expect(world.atResponder.map(({ text }) => text)).toEqual(['repeated']);
    expect(world.lost).toEqual([]);
  });

  it('answers a session where its last true frame came from', () => {
    const world = create();
    const session = world.open();
    world.initiator.send(encode('from elsewhere'));
    const [frame] = take(world.toResponder);
    const forged = new Uint8Array(frame!);
    forged[30] = forged[30]! ^ 1;
    world.responder.receive('forger', forged);
    expect(session.address).toBe(ADDRESS);
    world.responder.receive('peer-9', frame!);
    expect(session.address).toBe('peer-9');
    world.responder.receive('replayer', frame!);
    expect(session.address).toBe('peer-9');
    world.responder.dropAddress(ADDRESS);
    expect(session.state).toBe('open');
    world.responder.dropAddress('peer-9');
    expect(session.state).toBe('closed');
  });

  it('ends what an address had when its connection is gone, half-open handshakes too', () => {
    const world = create({ limits: WIDE });
    const session = world.open();
    world.responder.receive(ADDRESS, hellos(world)());
    world.responder.receive('peer-2', hellos(world)());
    world.responder.dropAddress(ADDRESS);
    expect(world.ended).toEqual([{ session, reason: 'address-gone' }]);
    expect(session.send(encode('x'))).toBe(false);
    expect(world.responder.halfOpenCount).toBe(1);
    expect(world.responder.sessionCount).toBe(0);
  });

  it('lets a retired session receive for 30 s, then forgets it by itself', () => {
    const world = create();
    const older = world.open();
    world.initiator.send(encode('early'));
    const [early] = take(world.toResponder);
    world.initiator.send(encode('late'));
    const [late] = take(world.toResponder);
    older.retire();
    expect(older.state).toBe('retiring');
    world.clock.advance(29 * SECOND);
    world.responder.receive(ADDRESS, early!);
    world.clock.advance(2 * SECOND);
    world.responder.receive(ADDRESS, late!);
    expect(world.atResponder.map(({ text }) => text)).toEqual(['early']);
    world.clock.advance(20 * SECOND);
    expect(older.state).toBe('closed');
    expect(world.ended).toEqual([{ session: older, reason: 'over' }]);
  });

  it('ends a session after a day, idle or not', () => {
    const world = create();
    const session = world.open();
    world.initiator.close();
    world.clock.advance(24 * HOUR + 11 * SECOND);
    expect(session.state).toBe('closed');
    expect(world.responder.sessionCount).toBe(0);
    expect(world.clock.pending()).toBe(0);
  });

  it('ends all sessions and seals nothing after a jump of its own clock', () => {
    const world = create({ limits: WIDE });
    const sessions = [world.open(), world.open()];
    world.clock.jumpWall(-90 * SECOND);
    expect(sessions[0]!.send(encode('under a used counter'))).toBe(false);
    expect(take(world.toInitiator)).toEqual([]);
    expect(world.ended.map(({ reason }) => reason)).toEqual(['clock-jump', 'clock-jump']);
  });

  it('closes one session and keeps the others; closing twice is harmless', () => {
    const world = create();
    const [one, other] = [world.open(), world.open()];
    world.responder.close(one);
    world.responder.close(one);
    expect([one.state, other.state]).toEqual(['closed', 'open']);
    expect(world.ended).toHaveLength(1);
    expect(other.send(encode('x'))).toBe(true);
  });

  it('stops: all sessions end, nothing is answered, no timer is left', () => {
    const world = create();
    const session = world.open();
    world.initiator.close();
    world.responder.stop();
    world.responder.receive(ADDRESS, encodeHello(0, new Uint8Array(32)));
    expect(session.state).toBe('closed');
    expect(take(world.toInitiator)).toEqual([]);
    expect(world.clock.pending()).toBe(0);
  });

  it.each([
    ['nothing', new Uint8Array(0)],
    ['text', encode('GET / HTTP/1.1\r\nHost: broker\r\n\r\n')],
    ['zeros', new Uint8Array(4096)],
    ['the largest frame there is, of ones', new Uint8Array(32 * 1024 + 64).fill(1)],
    ['an answer, which only initiators take', new Uint8Array([2, 1, ...new Uint8Array(90)])],
    [
      'a hello of the other pattern',
      encodeHello(pattern === 'XX' ? 3 : 0, new Uint8Array(pattern === 'XX' ? 104 : 32).fill(9)),
    ],
  ])('drops and counts %s', (_what, bytes) => {
    const world = create();
    world.responder.receive(ADDRESS, bytes);
    expect(world.responder.counters.malformed).toBe(1);
    expect(take(world.toInitiator)).toEqual([]);
  });
});

describe('half-open handshakes at their bound', () => {
  it('XX: a crowd of connections does not lock out one that finishes in time', () => {
    const world = createSessionWorld({ pattern: 'XX', limits: { ...WIDE, halfOpen: 8 } });
    const hello = hellos(world);
    for (let peer = 0; peer < 50; peer++) world.responder.receive(`crowd-${peer}`, hello());
    take(world.toInitiator);
    expect(world.open().state).toBe('open');
  });

  it('IK: replays of one message 1 do not push out a handshake that waits for its confirmation', () => {
    const world = createSessionWorld({ pattern: 'IK', limits: { ...WIDE, halfOpen: 8 } });
    const recorded = hellos(world)();
    world.initiator.connect();
    for (const frame of take(world.toResponder)) world.responder.receive(ADDRESS, frame);
    const answers = take(world.toInitiator);
    for (let peer = 0; peer < 50; peer++) world.responder.receive(`replayer-${peer}`, recorded);
    take(world.toInitiator);
    for (const answer of answers) world.initiator.receive(answer);
    world.settle();
    expect(world.sessions).toHaveLength(1);
  });
});
