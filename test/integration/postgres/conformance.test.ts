import { describe } from 'vitest';
import { ledgerConformance } from '../../conformance/ledger.ts';
import { ledgerKeepingConformance } from '../../conformance/ledger-keeping.ts';
import { createPostgresUnderTest, usePostgres } from './use-postgres.ts';

describe('PostgreSQL ledger', () => {
  const server = usePostgres();
  ledgerConformance(() => createPostgresUnderTest(server()));
  ledgerKeepingConformance(() => createPostgresUnderTest(server()));
});
