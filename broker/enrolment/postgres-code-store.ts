import type { Clock } from '../../protocol/runtime/runtime.ts';
import type { TakeSnapshot } from '../../protocol/runtime/snapshot-desk.ts';
import { createConnection, type Row } from '../ledger/postgres-connection.ts';
import { postgresError } from '../ledger/postgres-errors.ts';
import { type PostgresPlace, placeText } from '../ledger/postgres-place.ts';
import type { CodeStore } from './code-store.ts';
import { openCodeStore, termsOf } from './sqlite-code-store.ts';

const INSERT = 'INSERT INTO code (digest, owner, site, tier, expires) VALUES ($1, $2, $3, $4, $5)';
/** One statement decides the race, between brokers as well: whoever comes second waits for the row and finds it spent. */
const CLAIM = `UPDATE code SET spent_by = $1
  WHERE digest = $2 AND expires > $3 AND (spent_by IS NULL OR spent_by = $1) RETURNING owner, site, tier`;
const ALL = 'SELECT digest, owner, site, tier, expires, spent_by FROM code ORDER BY digest';

/**
 * One-use codes in the database of a ledger that has been opened, for all brokers that share it. Connects when it is first asked; rejects
 * with the ledger's codes. A copy is a file of codes.
 */
export function createPostgresCodeStore(
  place: PostgresPlace,
  purpose: string,
  clock: Clock,
): CodeStore & { readonly snapshot: TakeSnapshot } {
  const connection = createConnection(place, purpose, clock);

  async function run(text: string, values?: readonly unknown[]): Promise<readonly Row[]> {
    try {
      return await (await connection.session()).run(text, values);
    } catch (caught) {
      throw postgresError(caught, placeText(place));
    }
  }

  return {
    async add(digest, { owner, site, tier }, expiresMs) {
      await run(INSERT, [digest, owner, site, tier, Math.floor(expiresMs)]);
    },
    async spend(digest, key, nowMs) {
      const [row] = await run(CLAIM, [key, digest, Math.floor(nowMs)]);
      const terms = termsOf(row);
      return terms === undefined ? { kind: 'refused' } : { kind: 'spent', terms };
    },
    async snapshot(to) {
      const rows = await run(ALL);
      const copy = openCodeStore(to);
      try {
        for (const row of rows) await copyRow(copy, row);
      } finally {
        await copy.close();
      }
    },
    close: () => connection.close(),
  };
}

async function copyRow(copy: CodeStore, row: Row): Promise<void> {
  const { digest, expires, spent_by: spentBy } = row;
  const terms = termsOf(row);
  if (terms === undefined || typeof digest !== 'string') return;
  await copy.add(digest, terms, Number(expires));
  if (typeof spentBy === 'string') await copy.spend(digest, spentBy, 0);
}
