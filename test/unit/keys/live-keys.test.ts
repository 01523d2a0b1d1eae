import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openTrust } from '../../../adapters/trust.ts';
import { firstRing, type KeyRing, roll, rollAtOnce } from '../../../broker/keys/key-ring.ts';
import { type LiveKeys, openLiveKeys } from '../../../broker/keys/live-keys.ts';
import { endorsedCertifier } from '../../../protocol/endorsement.ts';
import { base64url, hex } from '../../../protocol/encoding.ts';
import { storeKey } from '../../../protocol/runtime/key-file.ts';
import { createCrypto, nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import type { Runtime } from '../../../protocol/runtime/runtime.ts';
import { eventuallyTrue } from '../../doubles/eventually.ts';
import { createManualClock, type ManualClock } from '../../doubles/manual-clock.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const crypto = createCrypto();
const pair = (kind: 'p256' | 'ed25519') => crypto.generate(kind);
const keys = { identity: pair('p256'), certifier: pair('ed25519'), grant: pair('ed25519') };
const first = firstRing({
  identity: storeKey(crypto, keys.identity),
  certifier: storeKey(crypto, keys.certifier),
  grant: storeKey(crypto, keys.grant),
});
const installation = 'home';

let directory: string;
let path: string;
let clock: ManualClock;
let runtime: Runtime;
let live: LiveKeys | undefined;

beforeEach(async () => {
  directory = await temporaryDirectory('keys');
  path = join(directory, 'keys.json');
  clock = createManualClock();
  runtime = { clock, crypto, random: nodeRandom, log: silentLog };
  live = undefined;
});
afterEach(async () => {
  live?.stop();
  expect(clock.pending()).toBe(0);
  await removeDirectory(directory);
});

const open = async (): Promise<LiveKeys> =>
  (live = await openLiveKeys({ runtime, installation, path, first }));
const write = (text: string, mode = 0o600) => writeFile(path, text, { mode });
const raw = (all: readonly { readonly raw: Uint8Array }[]) => all.map((key) => hex(key.raw));

/** Until what is written has been looked at. */
async function taken(what: () => boolean): Promise<void> {
  await eventuallyTrue(
    'the file to be read',
    async () => {
      await clock.run(500);
      return what();
    },
    10_000,
  );
}

describe('signing keys', () => {
  it('are those of the first start until one is rolled, and then those of the file, without a restart', async () => {
    const opened = await open();
    expect(raw([opened.identity().publicKey])).toEqual(raw([keys.identity.publicKey]));
    const next = pair('p256');
    const nowMs = clock.wallMs();
    const ring = roll(first, {
      purpose: 'identity',
      key: storeKey(crypto, next),
      nowMs,
      signsFromMs: nowMs + 60_000,
    });
    await write(JSON.stringify(ring));
    await taken(() => opened.identities().length === 2);
    expect(raw([opened.identity().publicKey])).toEqual(raw([keys.identity.publicKey]));
    await clock.run(60_000);
    expect(raw([opened.identity().publicKey])).toEqual(raw([next.publicKey]));
    expect(raw(opened.identities())).toEqual(raw([next.publicKey, keys.identity.publicKey]));
    // Who compares keys compares the very objects.
    expect(opened.identities()[0]).toBe(opened.identities()[0]);
    expect(opened.former()).toEqual([]);
  });

  it('that an emergency took away count no more, and can be renewed from', async () => {
    const opened = await open();
    const old = opened.identities()[0]!;
    const ring = rollAtOnce(
      first,
      { purpose: 'identity', key: storeKey(crypto, pair('p256')), nowMs: clock.wallMs() },
      [hex(old.raw)],
    );
    await write(JSON.stringify(ring));
    await taken(() => !opened.identities().includes(old));
    expect(raw(opened.dropped())).toEqual([hex(old.raw)]);
    expect(raw(opened.renewable())).not.toContain(hex(old.raw));
    expect(raw(opened.former())).toEqual([hex(old.raw)]);
  });

  it('let the certifier say who will follow it, to those who believe it', async () => {
    const opened = await open();
    expect(opened.endorsement()).toBeUndefined();
    const next = pair('ed25519');
    const nowMs = clock.wallMs();
    const ring: KeyRing = roll(first, {
      purpose: 'certifier',
      key: storeKey(crypto, next),
      nowMs,
      signsFromMs: nowMs + 86_400_000,
    });
    await write(JSON.stringify(ring));
    await taken(() => opened.endorsement() !== undefined);
    const token = opened.endorsement()!;
    const asked = { token, installation, wallMs: clock.wallMs() };
    const { publicKey } = keys.certifier;
    expect(endorsedCertifier(crypto, publicKey, asked)).toBe(base64url(next.publicKey.raw));
    expect(endorsedCertifier(crypto, next.publicKey, asked)).toBeUndefined();
    expect(endorsedCertifier(crypto, publicKey, { ...asked, installation: 'elsewhere' })).toBeUndefined();
    expect(endorsedCertifier(crypto, publicKey, { ...asked, wallMs: clock.wallMs() + 2e8 })).toBeUndefined();
    expect(endorsedCertifier(crypto, publicKey, { ...asked, token: `${token}x` })).toBeUndefined();
  });

  it.each([
    ['cannot be read', '{', 0o600],
    ['may be read by others', JSON.stringify(first), 0o644],
    [
      'has a key that is none',
      JSON.stringify({ ...first, grant: [{ ...first.grant[0], key: { kind: 'ed25519', private: 'ab' } }] }),
      0o600,
    ],
  ])(
    'in a file that %s are refused at the start, and later leave those that were',
    async (_what, text, mode) => {
      await write(text, mode);
      await chmod(path, mode);
      await expect(open()).rejects.toMatchObject({ code: 'INVALID_CONFIGURATION' });
      await write(JSON.stringify(first));
      await chmod(path, 0o600);
      const opened = await open();
      await write(`${text}\n`, mode);
      await chmod(path, mode);
      await clock.run(2_000);
      expect(raw([opened.grant().publicKey])).toEqual(raw([keys.grant.publicKey]));
    },
  );
});

describe('what an adapter believes', () => {
  it('changes with its file, without a restart: a broker more, a grant key that ends, a broker less', async () => {
    const [one, two] = [crypto.generate('x25519').publicKey.raw, crypto.generate('x25519').publicKey.raw];
    const oldKey = hex(keys.grant.publicKey.raw);
    const trust = await openTrust(runtime, path, {
      brokers: [hex(one)],
      grantKeys: [{ key: oldKey, untilMs: null }],
    });
    expect([trust.isBroker(one), trust.isBroker(two)]).toEqual([true, false]);
    const next = hex(pair('ed25519').publicKey.raw);
    const untilMs = clock.wallMs() + 100_000;
    await write(
      JSON.stringify({
        brokers: [hex(two)],
        grantKeys: [
          { key: oldKey, untilMs },
          { key: next, untilMs: null },
        ],
      }),
    );
    await taken(() => trust.isBroker(two));
    expect(trust.isBroker(one)).toBe(false);
    expect(raw(trust.grantKeys())).toEqual([oldKey, next]);
    await clock.run(100_000);
    expect(raw(trust.grantKeys())).toEqual([next]);
    trust.stop();
  });

  it.each([
    ['no JSON', '{'],
    ['keys that are none', '{"brokers":["ab"],"grantKeys":[]}'],
    ['no grant keys', '{"brokers":[]}'],
    ['more than may be', JSON.stringify({ brokers: Array(65).fill('ab'.repeat(32)), grantKeys: [] })],
  ])('is refused where the file is %s', async (_what, text) => {
    await write(text);
    const first = { brokers: [], grantKeys: [] };
    await expect(openTrust(runtime, path, first)).rejects.toMatchObject({ code: 'INVALID_CONFIGURATION' });
  });
});
