import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_FRAME_BYTES } from '../../../protocol/bindings/bus.ts';
import {
  decodeHeader,
  encodeFrame,
  encodeHello,
  encodeHint,
  encodeMessage,
  FRAME_HEADER_BYTES,
  HEADER_BYTES,
} from '../../../protocol/session/header.ts';
import { nonceOf } from '../../../protocol/session/noise.ts';
import { encodePrologue } from '../../../protocol/session/prologue.ts';
import { RateLimiter } from '../../../protocol/session/rate-limiter.ts';
import { ReplayWindow, WINDOW_WIDTH } from '../../../protocol/session/replay-window.ts';

const id = fc.uint8Array({ minLength: 8, maxLength: 8 });
const counter = fc.maxSafeNat();
const body = (minLength: number, maxLength = 2000) => fc.uint8Array({ minLength, maxLength });

describe('outer header', () => {
  it('decodes to what was encoded: frames', () => {
    fc.assert(
      fc.property(id, counter, body(17), (receiver, count, sealed) => {
        expect(decodeHeader(encodeFrame(receiver, count, sealed))).toEqual({
          kind: 'frame',
          keyId: 0,
          receiver,
          counter: count,
          body: sealed,
        });
      }),
    );
  });

  it('decodes to what was encoded: handshake messages and the hint', () => {
    fc.assert(
      fc.property(
        id,
        fc.nat(0xffff),
        fc.constantFrom('answer', 'proof'),
        body(64),
        (receiver, keyId, kind, message) => {
          expect(decodeHeader(encodeHello(keyId, message))).toEqual({
            kind: 'hello',
            keyId,
            receiver: new Uint8Array(8),
            counter: 0,
            body: message,
          });
          expect(decodeHeader(encodeMessage(kind, receiver, message))).toEqual({
            kind,
            keyId: 0,
            receiver,
            counter: 0,
            body: message,
          });
          expect(decodeHeader(encodeHint(receiver))).toMatchObject({ kind: 'unknownSession', receiver });
        },
      ),
    );
  });

  it('takes any bytes without throwing, and what it takes it would write the same way', () => {
    const start = fc.tuple(fc.nat(6), fc.constantFrom(0, 1, 2), fc.uint8Array({ maxLength: 120 }));
    fc.assert(
      fc.property(start, ([type, suite, rest]) => {
        const bytes = new Uint8Array([type, suite, ...rest]);
        const header = decodeHeader(bytes);
        if (header === undefined) return;
        const again = {
          hello: () => encodeHello(header.keyId, header.body),
          answer: () => encodeMessage('answer', header.receiver, header.body),
          proof: () => encodeMessage('proof', header.receiver, header.body),
          frame: () => encodeFrame(header.receiver, header.counter, header.body),
          unknownSession: () => encodeHint(header.receiver),
        }[header.kind]();
        expect(again).toEqual(bytes);
      }),
      { numRuns: 2000 },
    );
  });

  const frame = encodeFrame(new Uint8Array(8), 5, new Uint8Array(17));
  const changed = (at: number, value: number) => Object.assign(new Uint8Array(frame), { [at]: value });
  it.each([
    ['nothing', new Uint8Array(0)],
    ['one byte', new Uint8Array([4])],
    ['type 0', changed(0, 0)],
    ['type 6', changed(0, 6)],
    ['suite 0', changed(1, 0)],
    ['suite 2', changed(1, 2)],
    ['a key id in a frame', changed(3, 1)],
    ['a counter of 2^53', changed(13, 0x20)],
    ['a counter of 2^64 - 1', new Uint8Array(frame).fill(255, 12, 20)],
    ['a frame without content', frame.subarray(0, FRAME_HEADER_BYTES + 16)],
    ['a frame over the bound', encodeFrame(new Uint8Array(8), 0, new Uint8Array(MAX_FRAME_BYTES))],
    ['a hello with a receiver', Object.assign(encodeHello(0, new Uint8Array(32)), { 11: 1 })],
    ['a hello over its bound', encodeHello(0, new Uint8Array(5000))],
    ['a hint with a byte more', new Uint8Array([...encodeHint(new Uint8Array(8)), 0])],
  ])('drops %s', (_what, bytes) => {
    expect(decodeHeader(bytes)).toBeUndefined();
  });

  it('has 12 bytes, and 20 in a frame', () => {
    expect([HEADER_BYTES, FRAME_HEADER_BYTES]).toEqual([12, 20]);
  });
});

describe('nonce', () => {
  it('is four zero bytes and the counter, big endian', () => {
    fc.assert(
      fc.property(counter, (count) => {
        const view = new DataView(nonceOf(count).buffer);
        expect([view.getUint32(0), view.getBigUint64(4)]).toEqual([0, BigInt(count)]);
      }),
    );
  });
});

describe('replay window', () => {
  it('accepts exactly what a set of all counters would, within its width', () => {
    // Steps around the width, where a shift by 32 or 64 would go wrong.
    const step = fc.oneof(
      fc.integer({ min: -70, max: 70 }),
      fc.constantFrom(-64, -63, -33, -32, -31, 31, 32, 33, 63, 64, 65, 1000),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const window = new ReplayWindow();
        const seen = new Set<number>();
        let highest = -1;
        let at = 100;
        for (const by of steps) {
          at = Math.max(0, at + by);
          const expected = !seen.has(at) && highest - at < WINDOW_WIDTH;
          expect(window.isFresh(at)).toBe(expected);
          if (!expected) continue;
          window.mark(at);
          seen.add(at);
          highest = Math.max(highest, at);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('is not moved by asking', () => {
    const window = new ReplayWindow();
    expect(window.isFresh(Number.MAX_SAFE_INTEGER)).toBe(true);
    expect(window.isFresh(0)).toBe(true);
  });
});

describe('prologue', () => {
  it('differs wherever a field does', () => {
    const field = fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme-ascii' });
    fc.assert(
      fc.property(field, field, field, field, (installation, responderRole, otherInstallation, otherRole) => {
        const same = installation === otherInstallation && responderRole === otherRole;
        const one = encodePrologue({ installation, responderRole });
        const other = encodePrologue({ installation: otherInstallation, responderRole: otherRole });
        expect(Buffer.compare(one, other) === 0).toBe(same);
      }),
    );
  });

  it.each(['', 'x'.repeat(256), 'ü'.repeat(128)])('refuses an installation of %s', (installation) => {
    expect(() => encodePrologue({ installation, responderRole: 'broker' })).toThrow(
      expect.objectContaining({ code: 'INTERNAL' }),
    );
  });
});

describe('rate limiter', () => {
  it('lets a burst through and then one per interval, each key by itself', () => {
    const limiter = new RateLimiter({ burst: 5, everyMs: 10_000 });
    const taken = (key: string, nowMs: number, times: number) =>
      Array.from({ length: times }, () => limiter.take(key, nowMs)).filter(Boolean).length;
    expect(taken('a', 0, 100)).toBe(5);
    expect(taken('a', 9999, 100)).toBe(0);
    expect(taken('a', 10_000, 100)).toBe(1);
    expect(taken('b', 10_000, 100)).toBe(5);
    expect(taken('a', 1_000_000, 100)).toBe(5);
  });

  it('remembers a bounded number of keys, and forgets the one used longest ago', () => {
    const limiter = new RateLimiter({ burst: 1, everyMs: 1000 }, 3);
    for (const key of ['a', 'b', 'c', 'a', 'd']) limiter.take(key, 0);
    expect(limiter.size).toBe(3);
    expect(limiter.take('a', 0)).toBe(false);
    expect(limiter.take('b', 0)).toBe(true);
  });
});
