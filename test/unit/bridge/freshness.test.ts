import { describe, expect, it } from 'vitest';
import { createFreshness } from '../../../adapters/storage/bridge/freshness.ts';
import type { Freshness } from '../../../adapters/storage/bridge/freshness.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';

const crypto = createCrypto();
const random = createSeededRandom(5);

function open(proofs = 100): { freshness: Freshness; clock: ReturnType<typeof createManualClock> } {
  const clock = createManualClock();
  return { clock, freshness: createFreshness({ clock, random, crypto, nonceMs: 300_000, proofs }) };
}

describe('nonces', () => {
  it('are good for five minutes by the bridge’s own monotonic clock', () => {
    const { freshness, clock } = open();
    const nonce = freshness.nonce();
    clock.jumpWall(-1e9);
    clock.advance(239_000);
    expect(freshness.accepts(nonce)).toBe(true);
    clock.advance(61_001);
    expect(freshness.accepts(nonce)).toBe(false);
    expect(freshness.accepts(freshness.nonce())).toBe(true);
  });

  it('change as time goes on', () => {
    const { freshness, clock } = open();
    const nonce = freshness.nonce();
    clock.advance(60_000);
    expect(freshness.nonce()).not.toBe(nonce);
  });

  it.each(['', 'x', 'AAAA', 'A'.repeat(32), 'eyJ7S_zG.eyJH0-Z.HX4w-7v', '!'.repeat(32)])(
    '%j was not made here',
    (nonce) => {
      expect(open().freshness.accepts(nonce)).toBe(false);
    },
  );

  it('of another start are not accepted: what was spent then is forgotten', () => {
    const { freshness } = open();
    expect(open().freshness.accepts(freshness.nonce())).toBe(false);
  });

  it('cannot be moved to a later time', () => {
    const { freshness, clock } = open();
    const raw = Buffer.from(freshness.nonce(), 'base64url');
    raw.writeBigUInt64BE(4n);
    clock.advance(300_000);
    expect(freshness.accepts(raw.toString('base64url'))).toBe(false);
  });
});

describe('proofs', () => {
  it('are taken once for as long as their nonce is good', () => {
    const { freshness, clock } = open();
    const nonce = freshness.nonce();
    expect(freshness.spend(nonce, 'a')).toBe('fresh');
    expect(freshness.spend(nonce, 'a')).toBe('replayed');
    expect(freshness.spend(nonce, 'b')).toBe('fresh');
    clock.advance(239_000);
    expect(freshness.spend(nonce, 'a')).toBe('replayed');
    clock.advance(100_000);
    expect(freshness.spend(nonce, 'a')).toBe('stale');
  });

  it('are remembered no longer than that', () => {
    const { freshness, clock } = open();
    for (let id = 0; id < 10; id++) freshness.spend(freshness.nonce(), String(id));
    expect(freshness.size).toBe(10);
    clock.advance(400_000);
    freshness.spend(freshness.nonce(), 'later');
    expect(freshness.size).toBe(1);
  });

  it('beyond the bound cost everybody one more round trip, and no proof works twice', () => {
    const { freshness } = open(3);
    const nonce = freshness.nonce();
    for (const id of ['a', 'b', 'c']) expect(freshness.spend(nonce, id)).toBe('fresh');
    expect(freshness.spend(nonce, 'd')).toBe('stale');
    expect(freshness.spend(nonce, 'a')).toBe('stale');
    expect(freshness.size).toBe(0);
    expect(freshness.spend(freshness.nonce(), 'd')).toBe('fresh');
  });
});
