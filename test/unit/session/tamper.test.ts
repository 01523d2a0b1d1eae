import { describe, expect, it } from 'vitest';
import { Handshake, type Pattern } from '../../../protocol/session/noise.ts';
import { encodePrologue } from '../../../protocol/session/prologue.ts';
import { encodeHello } from '../../../protocol/session/header.ts';
import {
  ADDRESS,
  concatenate,
  createSessionWorld,
  encode,
  KEY_ID,
  type SessionWorld,
  singleBitFlips,
  WIDE,
  wrongLengths,
} from '../../doubles/session-world.ts';

const LOW_ORDER = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
].map((digits) => new Uint8Array(Buffer.from(digits, 'hex')));

const patterns: Pattern[] = ['XX', 'IK'];
const create = (pattern: Pattern) => createSessionWorld({ pattern, limits: WIDE });
const take = (wire: Uint8Array[]) => wire.splice(0)[0]!;

/** A world in which one frame of the conversation lies on the wire: nothing else has been lost. */
function untilHello(pattern: Pattern): { world: SessionWorld; frame: Uint8Array } {
  const world = create(pattern);
  world.initiator.connect();
  return { world, frame: take(world.toResponder) };
}

function untilAnswer(pattern: Pattern): { world: SessionWorld; frame: Uint8Array } {
  const { world, frame } = untilHello(pattern);
  world.responder.receive(ADDRESS, frame);
  return { world, frame: take(world.toInitiator) };
}

function untilProof(): { world: SessionWorld; frame: Uint8Array } {
  const { world, frame } = untilAnswer('XX');
  world.initiator.receive(frame);
  return { world, frame: take(world.toResponder) };
}

/** The session works: a message arrives on either side. */
function expectWorking(world: SessionWorld): void {
  world.settle();
  expect(world.initiator.send(encode('ping'))).toBe(true);
  world.settle();
  expect(world.atResponder.at(-1)?.text).toBe('ping');
  expect(world.sessions.at(-1)?.send(encode('pong'))).toBe(true);
  world.settle();
  expect(world.atInitiator.at(-1)).toBe('pong');
}

const spoilings = [
  ['any single bit flipped', singleBitFlips],
  ['a byte missing or added', wrongLengths],
] as const;

describe.each(patterns)('%s: tampering with handshakes', (pattern) => {
  it.each(spoilings)('message 1 with %s opens no session, and the true one still does', (_how, spoil) => {
    const { world, frame } = untilHello(pattern);
    for (const spoilt of spoil(frame)) {
      world.responder.receive(ADDRESS, spoilt);
      for (const answer of world.toInitiator.splice(0)) world.initiator.receive(answer);
      expect(world.toResponder).toEqual([]);
    }
    expect(world.initiator.isOpen).toBe(false);
    expect(world.sessions).toEqual([]);
    world.responder.receive(ADDRESS, frame);
    expectWorking(world);
  });

  it.each(spoilings)(
    'message 2 with %s is refused by the initiator, and the true one still opens',
    (_how, spoil) => {
      const { world, frame } = untilAnswer(pattern);
      for (const spoilt of spoil(frame)) world.initiator.receive(spoilt);
      expect(world.toResponder).toEqual([]);
      expect(world.initiator.isOpen).toBe(false);
      world.initiator.receive(frame);
      expectWorking(world);
    },
  );

  it.each(spoilings)(
    'a frame with %s is opened by neither side, and the true one still is',
    (_how, spoil) => {
      const world = create(pattern);
      const session = world.open();
      world.initiator.send(encode('to responder'));
      session.send(encode('to initiator'));
      const [up, down] = [take(world.toResponder), take(world.toInitiator)];
      for (const spoilt of spoil(up)) world.responder.receive(ADDRESS, spoilt);
      for (const spoilt of spoil(down)) world.initiator.receive(spoilt);
      expect([world.atResponder, world.atInitiator, world.ended, world.lost]).toEqual([[], [], [], []]);
      world.responder.receive(ADDRESS, up);
      world.initiator.receive(down);
      expect(world.atResponder.map(({ text }) => text)).toEqual(['to responder']);
      expect(world.atInitiator).toEqual(['to initiator']);
    },
  );

  it('a forged frame with a huge counter does not close the window to true ones', () => {
    const world = create(pattern);
    world.open();
    world.initiator.send(encode('true'));
    const frame = take(world.toResponder);
    for (const at of [13, 14, 15, 16, 17, 18]) {
      const forged = new Uint8Array(frame);
      forged[at] = 0xff;
      world.responder.receive(ADDRESS, forged);
    }
    expect(world.responder.counters.forged + world.responder.counters.malformed).toBeGreaterThanOrEqual(6);
    world.responder.receive(ADDRESS, frame);
    expect(world.atResponder.map(({ text }) => text)).toEqual(['true']);
  });

  it('forged frames, however many, end no session and are answered by nothing', () => {
    const world = create(pattern);
    world.open();
    world.initiator.send(encode('true'));
    const frame = take(world.toResponder);
    const forged = new Uint8Array(frame);
    forged[forged.length - 1] = forged.at(-1)! ^ 1;
    for (let times = 0; times < 1000; times++) world.responder.receive(ADDRESS, forged);
    expect(world.responder.counters.forged).toBe(1000);
    expect(world.toInitiator).toEqual([]);
    world.responder.receive(ADDRESS, frame);
    expectWorking(world);
  });

  it('a reflected frame or handshake message is not taken for the other side’s', () => {
    const world = create(pattern);
    world.initiator.connect();
    world.initiator.receive(world.toResponder[0]!);
    world.settle();
    for (let times = 0; times < 3; times++) {
      world.initiator.send(encode('mine'));
      world.sessions[0]!.send(encode('yours'));
    }
    // The newest, whose counter the other side has not seen yet.
    const [up, down] = [world.toResponder.splice(0).at(-1)!, world.toInitiator.splice(0).at(-1)!];
    world.initiator.receive(up);
    world.responder.receive(ADDRESS, down);
    // The receiver's own session id put in does not help: each direction has its own key.
    const swap = (frame: Uint8Array, other: Uint8Array) =>
      concatenate(frame.subarray(0, 4), other.subarray(4, 12), frame.subarray(12));
    world.initiator.receive(swap(up, down));
    world.responder.receive(ADDRESS, swap(down, up));
    expect([world.atResponder, world.atInitiator]).toEqual([[], []]);
    expect(world.initiator.counters.forged).toBe(1);
    expect(world.responder.counters.forged).toBe(1);
    expectWorking(world);
  });

  it('a frame of one session does not open in another', () => {
    const world = create(pattern);
    const first = world.open();
    world.initiator.send(encode('for the first'));
    const frame = take(world.toResponder);
    const second = world.open();
    world.responder.receive(ADDRESS, concatenate(frame.subarray(0, 4), second.id, frame.subarray(12)));
    expect(world.atResponder).toEqual([]);
    world.responder.receive(ADDRESS, frame);
    expect(world.atResponder.map(({ session }) => session)).toEqual([first]);
  });

  it.each([
    ['another installation', { installation: 'other', responderRole: 'broker' }],
    ['another role', { installation: 'test', responderRole: 'storage-adapter' }],
    ['bytes moved from one field to the next', { installation: 'testb', responderRole: 'roker' }],
  ])('a prologue of %s opens no session', (_what, prologue) => {
    const world = createSessionWorld({ pattern, prologues: { responder: prologue } });
    world.initiator.connect();
    world.settle();
    expect(world.initiator.isOpen).toBe(false);
    expect(world.sessions).toEqual([]);
  });

  it('a low-order point as ephemeral key is dropped, in message 1 and in message 2', () => {
    const { world, frame } = untilHello(pattern);
    for (const point of LOW_ORDER) {
      world.responder.receive(ADDRESS, concatenate(frame.subarray(0, 12), point, frame.subarray(44)));
    }
    expect(world.responder.counters.failedHandshakes).toBe(LOW_ORDER.length);
    expect(world.responder.halfOpenCount).toBe(0);
    world.responder.receive(ADDRESS, frame);
    const answer = take(world.toInitiator);
    for (const point of LOW_ORDER) {
      world.initiator.receive(concatenate(answer.subarray(0, 12), point, answer.subarray(44)));
    }
    expect(world.initiator.counters.failedHandshakes).toBe(LOW_ORDER.length);
    world.initiator.receive(answer);
    expectWorking(world);
  });

  it('a replayed frame is delivered once', () => {
    const world = create(pattern);
    const session = world.open();
    world.initiator.send(encode('once'));
    session.send(encode('once'));
    const [up, down] = [take(world.toResponder), take(world.toInitiator)];
    for (let times = 0; times < 5; times++) {
      world.responder.receive(ADDRESS, up);
      world.initiator.receive(down);
    }
    expect(world.atResponder).toHaveLength(1);
    expect(world.atInitiator).toHaveLength(1);
    expect(world.responder.counters.replayed).toBe(4);
    expect(world.initiator.counters.replayed).toBe(4);
  });

  it('a replayed message 2 does not change an open session', () => {
    const { world, frame } = untilAnswer(pattern);
    world.initiator.receive(frame);
    world.settle();
    for (let times = 0; times < 10; times++) world.initiator.receive(frame);
    expect(world.toResponder).toEqual([]);
    expect(world.opens).toHaveLength(1);
    expectWorking(world);
  });

  it('frames repeated and reordered by up to 60 arrive exactly once each', () => {
    const world = create(pattern);
    world.open();
    const sent = Array.from({ length: 600 }, (_, at) => `message ${at}`);
    for (const text of sent) world.initiator.send(encode(text));
    const frames = world.toResponder.splice(0);
    // Blocks of 60, each delivered backwards and twice.
    for (let start = 0; start < frames.length; start += 60) {
      const block = frames.slice(start, start + 60).toReversed();
      for (const frame of [...block, ...block]) world.responder.receive(ADDRESS, frame);
    }
    expect(world.atResponder.map(({ text }) => text).toSorted()).toEqual(sent.toSorted());
  });

  it.each([
    [63, true],
    [64, false],
  ])('a frame %i behind the newest: delivered %s', (behind, isDelivered) => {
    const world = create(pattern);
    world.open();
    world.initiator.send(encode('late'));
    const late = take(world.toResponder);
    for (let at = 0; at < behind; at++) world.initiator.send(encode('newer'));
    for (const frame of world.toResponder.splice(0)) world.responder.receive(ADDRESS, frame);
    world.responder.receive(ADDRESS, late);
    expect(world.atResponder.some(({ text }) => text === 'late')).toBe(isDelivered);
  });

  it('the same state sealing twice, as a restored machine does, gets no second message through', () => {
    const make = () => createSessionWorld({ pattern, limits: WIDE, seed: 9 });
    const [world, restored] = [make(), make()];
    world.open();
    restored.open();
    world.initiator.send(encode('before the snapshot was restored'));
    restored.initiator.send(encode('after it, under the same counter'));
    world.responder.receive(ADDRESS, take(world.toResponder));
    world.responder.receive(ADDRESS, take(restored.toResponder));
    expect(world.atResponder.map(({ text }) => text)).toEqual(['before the snapshot was restored']);
    expect(world.responder.counters.replayed).toBe(1);
  });
});

describe('XX: tampering with message 3', () => {
  it.each(spoilings)(
    'with %s confirms nothing and asks nobody, and the true one still does',
    (_how, spoil) => {
      const { world, frame } = untilProof();
      for (const spoilt of spoil(frame)) world.responder.receive(ADDRESS, spoilt);
      expect(world.sessions).toEqual([]);
      expect(world.authentications).toEqual([]);
      world.toInitiator.length = 0;
      world.responder.receive(ADDRESS, frame);
      expectWorking(world);
    },
  );

  it('replayed opens no second session; the answer to a true repeat is one bounded confirmation', () => {
    const { world, frame } = untilProof();
    for (let times = 0; times < 50; times++) world.responder.receive(ADDRESS, frame);
    expect(world.sessions).toHaveLength(1);
    expect(world.authentications).toHaveLength(1);
    expect(world.toInitiator.length).toBeLessThanOrEqual(6);
    for (const answer of world.toInitiator) expect(answer.length).toBeLessThan(frame.length);
    expectWorking(world);
    // Long enough that no rate limit is what keeps it silent.
    world.clock.advance(60_000);
    for (let times = 0; times < 50; times++) world.responder.receive(ADDRESS, frame);
    expect(world.toInitiator).toEqual([]);
  });

  it('of another handshake does not confirm this one', () => {
    const world = create('XX');
    const proofOf = (): Uint8Array => {
      world.initiator.connect();
      world.responder.receive(ADDRESS, take(world.toResponder));
      world.initiator.receive(take(world.toInitiator));
      return take(world.toResponder);
    };
    const [first, second] = [proofOf(), proofOf()];
    world.responder.receive(ADDRESS, concatenate(second.subarray(0, 12), first.subarray(12)));
    expect(world.sessions).toEqual([]);
    world.responder.receive(ADDRESS, second);
    expectWorking(world);
  });
});

describe('IK: what message 1 alone is worth', () => {
  it('spoilt, it reaches no judgement: nobody is asked who it is', () => {
    const { world, frame } = untilHello('IK');
    for (const spoilt of singleBitFlips(frame)) world.responder.receive(ADDRESS, spoilt);
    expect(world.authentications).toEqual([]);
    expect(world.responder.halfOpenCount).toBe(0);
  });

  it('replayed, it confirms nothing and pushes out nothing', () => {
    const { world, frame } = untilHello('IK');
    world.responder.receive(ADDRESS, frame);
    world.settle();
    for (let times = 0; times < 100; times++) world.responder.receive(`peer-${times}`, frame);
    expect(world.sessions).toHaveLength(1);
    expect(world.sessions[0]?.state).toBe('open');
    world.toInitiator.length = 0;
    expectWorking(world);
    expect(world.sessions).toHaveLength(1);
  });

  it('forged with the responder’s stolen key (key compromise impersonation), it opens no session', () => {
    const world = create('IK');
    const victim = world.crypto.generate('x25519').publicKey;
    const thiefs = world.crypto.generate('x25519');
    const thief = new Handshake({
      crypto: {
        ...world.crypto,
        // With the stolen key the shared secret of both static keys can be had from the other end.
        diffieHellman: (own, peer) =>
          own.publicKey === victim && peer === world.responderStatic.publicKey
            ? world.crypto.diffieHellman(world.responderStatic, victim)
            : world.crypto.diffieHellman(own, peer),
      },
      pattern: 'IK',
      role: 'initiator',
      prologue: encodePrologue({ installation: 'test', responderRole: 'broker' }),
      staticKey: { ...thiefs, publicKey: victim },
      remoteStatic: world.responderStatic.publicKey,
    });
    world.responder.receive(
      ADDRESS,
      encodeHello(KEY_ID, thief.write(concatenate(new Uint8Array(8), encode('victim')))),
    );
    expect(world.authentications).toEqual(['victim']);
    const answer = take(world.toInitiator);
    expect(thief.read(answer.subarray(12))).toBeUndefined();
    world.clock.advance(60_000);
    expect([world.sessions, world.responder.halfOpenCount]).toEqual([[], 0]);
  });

  it('for a key id that is not ours is dropped before any cryptography', () => {
    const { world, frame } = untilHello('IK');
    world.responder.receive(
      ADDRESS,
      concatenate(frame.subarray(0, 2), new Uint8Array([0, KEY_ID + 1]), frame.subarray(4)),
    );
    expect(world.responder.counters).toMatchObject({ malformed: 1, failedHandshakes: 0 });
  });
});
