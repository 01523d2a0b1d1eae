import { describe, expect, it } from 'vitest';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import { decodeHeader, encodeFrame } from '../../../protocol/session/header.ts';
import { Handshake, nonceOf } from '../../../protocol/session/noise.ts';
import { Transport } from '../../../protocol/session/transport.ts';
import { encode } from '../../doubles/session-world.ts';

const crypto = createCrypto();
const none = new Uint8Array(0);
const key = crypto.importSealKey(new Uint8Array(32).fill(1));
const peerSessionId = new Uint8Array(8).fill(2);

function create(startedMs = 0): Transport {
  const keys = { send: key, receive: key, handshakeHash: none };
  return new Transport({ crypto, keys, peerSessionId, startedMs });
}

/** A frame whose plaintext is exactly these bytes, as a peer of another make may seal it. */
function sealed(counter: number, plaintext: Uint8Array) {
  return decodeHeader(
    encodeFrame(peerSessionId, counter, crypto.seal(key, nonceOf(counter), none, plaintext)),
  )!;
}

describe('transport', () => {
  it.each([
    ['an unknown kind', new Uint8Array([2, 97])],
    ['kind 255', new Uint8Array([255])],
    ['a confirmation with content', new Uint8Array([0, 97])],
    ['an empty message', new Uint8Array([1])],
    ['a message of a byte too many', new Uint8Array(32 * 1024 + 2).fill(1)],
  ])('opens %s as unknown content, once', (_what, plaintext) => {
    const transport = create();
    expect(transport.open(sealed(0, plaintext))).toEqual({ kind: 'unknown-content' });
    expect(transport.open(sealed(0, plaintext))).toEqual({ kind: 'replayed' });
    expect(transport.open(sealed(1, new Uint8Array([1, 97])))).toEqual({
      kind: 'message',
      body: encode('a'),
    });
  });

  it('counts every frame it seals, confirmations too', () => {
    const transport = create();
    const counters = [
      transport.sealConfirmation(),
      transport.sealMessage(encode('a')),
      transport.sealConfirmation(),
    ].map((frame) => decodeHeader(frame)?.counter);
    expect(counters).toEqual([0, 1, 2]);
    expect(transport.sealedFrames).toBe(3);
  });

  it('uses up a counter even where sealing fails', () => {
    let fails = true;
    const seal: typeof crypto.seal = (...given) => {
      if (fails) throw new Error('by the test');
      return crypto.seal(...given);
    };
    const keys = { send: key, receive: key, handshakeHash: none };
    const transport = new Transport({ crypto: { ...crypto, seal }, keys, peerSessionId, startedMs: 0 });
    expect(() => transport.sealMessage(encode('a'))).toThrow('by the test');
    fails = false;
    expect(decodeHeader(transport.sealMessage(encode('b')))?.counter).toBe(1);
  });

  it('asks for a new handshake after an hour and is over after a day', () => {
    const hourMs = 3_600_000;
    const transport = create(5000);
    const at = (ms: number) => [transport.needsRehandshake(5000 + ms), transport.isOver(5000 + ms)];
    expect([at(hourMs - 1), at(hourMs), at(24 * hourMs - 1), at(24 * hourMs)]).toEqual([
      [false, false],
      [true, false],
      [true, false],
      [true, true],
    ]);
  });
});

describe('a handshake', () => {
  const create = (role: 'initiator' | 'responder') =>
    new Handshake({ crypto, pattern: 'XX', role, prologue: none, staticKey: crypto.generate('x25519') });
  const misused = expect.objectContaining({ code: 'INTERNAL' });

  it('is single-use: it writes each message once, in turn, and ends wiped', () => {
    const [initiator, responder] = [create('initiator'), create('responder')];
    expect(() => initiator.read(new Uint8Array(64))).toThrow(misused);
    expect(() => responder.write(none)).toThrow(misused);
    responder.read(initiator.write(none));
    expect(() => initiator.write(none)).toThrow(misused);
    expect(() => initiator.finish()).toThrow(misused);
    initiator.read(responder.write(none));
    responder.read(initiator.write(none));
    expect(initiator.finish().handshakeHash).toEqual(responder.finish().handshakeHash);
    for (const use of [() => initiator.finish(), () => initiator.write(none), () => initiator.fork()]) {
      expect(use).toThrow(misused);
    }
    expect(initiator.remoteStatic).toBeUndefined();
  });

  it('needs the responder’s key for IK', () => {
    const options = { crypto, pattern: 'IK', prologue: none, staticKey: crypto.generate('x25519') } as const;
    expect(() => new Handshake({ ...options, role: 'initiator' })).toThrow(misused);
  });
});
