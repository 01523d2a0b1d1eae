import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createMemoryCodeStore } from '../../../broker/enrolment/memory-code-store.ts';
import { openCodeStore } from '../../../broker/enrolment/sqlite-code-store.ts';
import { codeStoreConformance } from '../../conformance/code-store.ts';

codeStoreConformance('memory', { isDurable: false }, () => ({
  open: async () => createMemoryCodeStore(),
  dispose: () => Promise.resolve(),
}));

codeStoreConformance('SQLite', { isDurable: true }, () => {
  let folder = '';
  return {
    async open() {
      if (folder === '') folder = await mkdtemp(join(tmpdir(), 'codes-'));
      return openCodeStore(join(folder, 'codes.sqlite'));
    },
    dispose: () => rm(folder, { recursive: true }),
  };
});

describe('the file of a code store', () => {
  it('that is no database is refused and left as it is', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'codes-'));
    const path = join(folder, 'codes.sqlite');
    const text = 'no database, though long enough to be one\n'.repeat(50);
    await writeFile(path, text);
    expect(() => openCodeStore(path)).toThrow(expect.objectContaining({ code: 'LEDGER_CORRUPT' }));
    expect(await readFile(path, 'utf8')).toBe(text);
    await rm(folder, { recursive: true });
  });
});
