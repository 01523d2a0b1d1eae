import { expect, it } from 'vitest';
import { isStorageCode, STORAGE_STATUS } from '../../../protocol/storage-codes.ts';

it('knows storage’s own codes and no name that objects happen to have', () => {
  expect(Object.keys(STORAGE_STATUS).filter((code) => !isStorageCode(code))).toEqual([]);
  for (const text of ['', 'LEDGER_FULL', 'digest_mismatch', 'constructor', '__proto__', 'toString'])
    expect(isStorageCode(text)).toBe(false);
});
