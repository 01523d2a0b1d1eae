import { describe, expect, it } from 'vitest';
import { loadKey, storeKey } from '../../../protocol/runtime/key-file.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import type { KeyKind } from '../../../protocol/runtime/runtime.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';

const crypto = createCrypto(createSeededRandom(2));

describe('a key in a file', () => {
  it.each<KeyKind>(['x25519', 'ed25519', 'p256'])('%s: is the same key when it is read', (kind) => {
    const key = crypto.generate(kind);
    const stored = storeKey(crypto, key);
    expect(JSON.parse(JSON.stringify(stored))).toEqual({
      kind,
      private: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(loadKey(crypto, stored).publicKey.raw).toEqual(key.publicKey.raw);
  });

  it.each(['', '00', 'zz'.repeat(32), '00'.repeat(33)])(
    'with the bytes %j is INVALID_CONFIGURATION',
    (bytes) => {
      expect(() => loadKey(crypto, { kind: 'ed25519', private: bytes })).toThrow(
        expect.objectContaining({ code: 'INVALID_CONFIGURATION' }),
      );
    },
  );
});
