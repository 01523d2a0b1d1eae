import { describe, expect, it } from 'vitest';
import { createMemoryStorage } from '../../../adapters/storage/memory.ts';
import { answerStorageItem } from '../../../adapters/storage/serve.ts';
import type { StorageAdapter } from '../../../adapters/storage/storage-adapter.ts';
import type { Ask, Grant } from '../../../protocol/generated/types.ts';
import { isAnswers } from '../../../protocol/generated/validators.js';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import { signGrant } from '../../../protocol/tokens.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';

const crypto = createCrypto();
const clock = createManualClock();
const brokerKey = crypto.generate('ed25519');
const desk = { grantKeys: () => [brokerKey.publicKey], crypto, clock };
const ceiling = { maxFileBytes: 100, maxAttemptBytes: 100, maxTotalBytes: 100, verbs: ['put'] } as const;
const attempt = { job: 'a'.repeat(26), attempt: 1 };
const iat = clock.wallMs() / 1000;
const grant: Grant = {
  iss: 'test',
  ...attempt,
  jkt: 'k'.repeat(43),
  get: [],
  put: [{ name: 'a', maxBytes: 9 }],
  totalBytes: 9,
  iat,
  exp: iat + 60,
};

async function answer(item: Ask['items'][number], adapter?: StorageAdapter) {
  const result = await answerStorageItem(
    adapter ?? createMemoryStorage({ clock, crypto, ceiling }),
    item,
    desk,
  );
  expect(isAnswers({ kind: 'answers', items: [result] })).toBe(true);
  expect(result.item).toBe(item.item);
  return result;
}

describe('answering the broker', () => {
  it('mints from a grant the broker signed', async () => {
    const token = signGrant(crypto, brokerKey, grant);
    expect(await answer({ op: 'grant', item: 7, grant: token })).toMatchObject({
      result: 'capabilities',
      capabilities: [{ verb: 'put', name: 'a' }],
    });
  });

  it('mints from what either key signed while one follows the other, and not from what is dropped', async () => {
    const next = crypto.generate('ed25519');
    let grantKeys = [next.publicKey, brokerKey.publicKey];
    const storage = createMemoryStorage({ clock, crypto, ceiling });
    const mint = async (key: typeof next) => {
      const item = { op: 'grant', item: 7, grant: signGrant(crypto, key, grant) } as const;
      return (await answerStorageItem(storage, item, { ...desk, grantKeys: () => grantKeys })).result;
    };
    expect([await mint(brokerKey), await mint(next)]).toEqual(['capabilities', 'capabilities']);
    grantKeys = [next.publicKey];
    expect([await mint(brokerKey), await mint(next)]).toEqual(['refused', 'capabilities']);
  });

  const otherKey = crypto.generate('ed25519');
  const right = signGrant(crypto, brokerKey, grant);
  it.each([
    ['signed by another key', signGrant(crypto, otherKey, grant)],
    ['expired', signGrant(crypto, brokerKey, { ...grant, iat: iat - 3600, exp: iat - 120 })],
    ['from the future', signGrant(crypto, brokerKey, { ...grant, iat: iat + 120, exp: iat + 3600 })],
    [
      'changed after it was signed',
      right.replace(
        /\.[^.]*\./,
        `.${Buffer.from(JSON.stringify({ ...grant, attempt: 2 })).toString('base64url')}.`,
      ),
    ],
    ['without a signature', right.replace(/[^.]*$/, '')],
    ['over the ceiling', signGrant(crypto, brokerKey, { ...grant, totalBytes: 101 })],
    [
      'for a verb the ceiling leaves out',
      signGrant(crypto, brokerKey, { ...grant, get: [{ name: 'i', size: 1, sha256: '0'.repeat(64) }] }),
    ],
    ['no grant', 'x.y.z'],
  ])('refuses a grant %s (NOT_AUTHORIZED)', async (_what, token) => {
    const refused = await answer({ op: 'grant', item: 7, grant: token });
    expect(refused).toMatchObject({ result: 'refused', code: 'NOT_AUTHORIZED' });
  });

  it('verifies, finalises and discards', async () => {
    const storage = createMemoryStorage({ clock, crypto, ceiling });
    const missing = [{ name: 'a', size: 1, sha256: '0'.repeat(64) }];
    expect(await answer({ op: 'verify', item: 1, ...attempt, manifest: missing }, storage)).toMatchObject({
      result: 'mismatch',
    });
    expect(await answer({ op: 'verify', item: 2, ...attempt, manifest: [] }, storage)).toMatchObject({
      result: 'verified',
      files: [],
    });
    expect(await answer({ op: 'finalise', item: 3, ...attempt, manifest: [] }, storage)).toMatchObject({
      result: 'ok',
    });
    expect(await answer({ op: 'discard', item: 4, ...attempt }, storage)).toMatchObject({
      result: 'refused',
      code: 'ATTEMPT_NOT_LIVE',
    });
    expect(await answer({ op: 'discard', item: 5, ...attempt, attempt: 2 }, storage)).toMatchObject({
      result: 'ok',
    });
  });

  it('does not answer for a job adapter', async () => {
    const item = { op: 'fetch', item: 9, queue: 'main', max: 1, accepted: [] } as const;
    expect(await answer(item)).toMatchObject({ result: 'refused', code: 'UNSUPPORTED' });
  });

  it('tells nothing of a fault of its own but that there was one', async () => {
    const fail = (): Promise<never> => Promise.reject(new Error('/secret/path'));
    const broken = { mint: fail, verify: fail, finalise: fail, discard: fail };
    const refused = await answer({ op: 'discard', item: 1, ...attempt }, broken);
    expect(refused).toMatchObject({ result: 'refused', code: 'INTERNAL' });
    expect(JSON.stringify(refused)).not.toContain('secret');
  });
});
