import { describe, expect, it } from 'vitest';
import {
  accepted,
  ANNOUNCED_MS,
  firstRing,
  type KeyPurpose,
  type KeyRing,
  nextCertifier,
  parseRing,
  renewable,
  roll,
  rollAtOnce,
  signing,
  stateOf,
} from '../../../broker/keys/key-ring.ts';
import { type StoredKey, storeKey } from '../../../protocol/runtime/key-file.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';

const crypto = createCrypto();
const DAY_MS = 86_400_000;
const NOW = 1_800_000_000_000;
const make = (purpose: KeyPurpose): StoredKey =>
  storeKey(crypto, crypto.generate(purpose === 'identity' ? 'p256' : 'ed25519'));
const first = firstRing({ identity: make('identity'), certifier: make('certifier'), grant: make('grant') });

function rolled(purpose: KeyPurpose, leadMs = 60_000, ring: KeyRing = first): KeyRing {
  return roll(ring, { purpose, key: make(purpose), nowMs: NOW, signsFromMs: NOW + leadMs });
}

describe('a key that is rolled', () => {
  it.each<KeyPurpose>(['identity', 'certifier', 'grant'])(
    '%s: the new one counts from now on, and signs when all know it',
    (purpose) => {
      const ring = rolled(purpose);
      const [old, next] = ring[purpose];
      expect(signing(ring[purpose], NOW + 59_999)).toBe(old);
      expect(signing(ring[purpose], NOW + 60_000)).toBe(next);
      expect(accepted(ring, purpose, NOW).map(({ key }) => key)).toEqual([old!.key, next!.key]);
      expect(stateOf(ring, purpose, next!, NOW).state).toBe('follows');
      expect(stateOf(ring, purpose, old!, NOW + 60_000).state).toBe('counts');
    },
  );

  it.each<[KeyPurpose, number]>([
    ['identity', 25 * 3_600_000],
    ['grant', 30 * 60_000],
  ])('%s: the old one counts until what it signed last has ended, and no longer', (purpose, lifeMs) => {
    const ring = rolled(purpose);
    const stopsMs = NOW + 60_000;
    expect(accepted(ring, purpose, stopsMs + lifeMs - 1)).toHaveLength(2);
    expect(accepted(ring, purpose, stopsMs + lifeMs)).toHaveLength(1);
    expect(stateOf(ring, purpose, ring[purpose][0]!, stopsMs + lifeMs).state).toBe('over');
  });

  it('identity: what the old one signed can be renewed for a week more', () => {
    const ring = rolled('identity');
    const endMs = NOW + 60_000 + 8 * DAY_MS + 3_600_000;
    expect(renewable(ring, endMs - 1)).toHaveLength(2);
    expect(renewable(ring, endMs)).toHaveLength(1);
  });

  it('certifier: the next is announced for as long as an agent may be away and still renew', () => {
    expect(ANNOUNCED_MS).toBeGreaterThanOrEqual(8 * DAY_MS);
    const ring = rolled('certifier', ANNOUNCED_MS);
    expect(nextCertifier(ring, NOW)).toBe(ring.certifier[1]);
    expect(nextCertifier(ring, NOW + ANNOUNCED_MS)).toBeUndefined();
    expect(nextCertifier(first, NOW)).toBeUndefined();
  });

  it('is not rolled again while one is to follow', () => {
    const ring = rolled('grant');
    expect(() => rolled('grant', 60_000, ring)).toThrow(expect.objectContaining({ code: 'CONFLICT' }));
  });

  it('leaves no trace once nothing that it signed can be shown', () => {
    const late = {
      purpose: 'grant',
      key: make('grant'),
      nowMs: NOW + DAY_MS,
      signsFromMs: NOW + DAY_MS,
    } as const;
    const ring = roll(rolled('grant'), late);
    expect(ring.grant).toHaveLength(2);
    expect(ring.grant.map(({ key }) => key)).not.toContain(first.grant[0]!.key);
  });

  it('in an emergency leaves no other one that counts, one that was to follow included', () => {
    const before = rolled('identity');
    const key = make('identity');
    const ring = rollAtOnce(before, { purpose: 'identity', key, nowMs: NOW }, ['aa', 'bb']);
    expect(accepted(ring, 'identity', NOW).map((entry) => entry.key)).toEqual([key]);
    expect(renewable(ring, NOW).map((entry) => entry.key)).toEqual([key]);
    expect(signing(ring.identity, NOW).key).toBe(key);
    expect(ring.dropped).toEqual(['aa', 'bb']);
    expect(rollAtOnce(ring, { purpose: 'grant', key: make('grant'), nowMs: NOW }, ['cc']).dropped).toEqual([
      'aa',
      'bb',
    ]);
  });

  it('I9 keeps a bounded number of keys, however often it is rolled', () => {
    let ring = first;
    for (let times = 0; times < 40; times++) {
      const at = { nowMs: NOW + times, signsFromMs: NOW + times };
      ring = roll(ring, { purpose: 'identity', key: make('identity'), ...at });
      ring = rollAtOnce(ring, { purpose: 'grant', key: make('grant'), nowMs: NOW }, []);
    }
    expect(ring.identity).toHaveLength(8);
    expect(ring.grant).toHaveLength(1);
    for (let times = 0; times < 40; times++)
      ring = rollAtOnce(ring, { purpose: 'identity', key: make('identity'), nowMs: NOW }, [`${times}`]);
    expect(ring.dropped).toHaveLength(32);
  });
});

describe('the text of a ring', () => {
  it('is read as it was written', () => {
    const ring = rolled('identity');
    expect(parseRing(JSON.stringify(ring))).toEqual(ring);
  });

  it.each([
    ['nothing', ''],
    ['a list', '[]'],
    ['one purpose only', JSON.stringify({ identity: first.identity, dropped: [] })],
    ['a purpose without a key', JSON.stringify({ ...first, grant: [] })],
    ['a key of another kind', JSON.stringify({ ...first, grant: first.identity })],
    ['a time that is none', JSON.stringify({ ...first, grant: [{ ...first.grant[0], stopsMs: 'soon' }] })],
    ['dropped keys that are none', JSON.stringify({ ...first, dropped: [1] })],
  ])('is refused where it is %s', (_what, text) => {
    expect(() => parseRing(text)).toThrow(expect.objectContaining({ code: 'INVALID_CONFIGURATION' }));
  });
});
