import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createPostgresCodeStore } from '../../../broker/enrolment/postgres-code-store.ts';
import { openCodeStore } from '../../../broker/enrolment/sqlite-code-store.ts';
import { openPostgresLedger } from '../../../broker/ledger/postgres.ts';
import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import { codeStoreConformance } from '../../conformance/code-store.ts';
import { ledgerConformance } from '../../conformance/ledger.ts';
import { ledgerKeepingConformance } from '../../conformance/ledger-keeping.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';
import { createPostgresUnderTest, optionsOf, usePostgres } from './use-postgres.ts';

describe('PostgreSQL ledger', () => {
  const server = usePostgres();
  ledgerConformance(() => createPostgresUnderTest(server()));
  ledgerKeepingConformance(() => createPostgresUnderTest(server()));
  codeStoreConformance('PostgreSQL', { isDurable: true }, () => {
    const place = server().place();
    return {
      async open() {
        await (await openPostgresLedger(optionsOf(place, { clock: nodeClock }))).close();
        return createPostgresCodeStore(place, 'co-pilot codes', nodeClock);
      },
      dispose: () => Promise.resolve(),
    };
  });

  it('copies codes into a file, those that are spent as spent', async () => {
    const place = server().place();
    await (await openPostgresLedger(optionsOf(place, { clock: nodeClock }))).close();
    const folder = await temporaryDirectory('codes-copy');
    const path = join(folder, 'codes.sqlite');
    const store = createPostgresCodeStore(place, 'co-pilot codes', nodeClock);
    const terms = { owner: 'somebody', site: 'home', tier: 'untrusted' } as const;
    await store.add('spent', terms, 2_000);
    await store.add('good', terms, 2_000);
    await store.spend('spent', 'key', 1_000);
    await store.snapshot(path, () => undefined);
    await store.close();
    const copy = openCodeStore(path);
    expect(await copy.spend('spent', 'other', 1_000)).toEqual({ kind: 'refused' });
    expect(await copy.spend('spent', 'key', 1_000)).toEqual({ kind: 'spent', terms });
    expect(await copy.spend('good', 'other', 1_999)).toEqual({ kind: 'spent', terms });
    await copy.close();
    await removeDirectory(folder);
  });
});
