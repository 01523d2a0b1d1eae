import { createConnection } from '../../broker/ledger/postgres-connection.ts';
import { placeText } from '../../broker/ledger/postgres-place.ts';
import { toCoPilotError } from '../../protocol/errors.ts';
import type { Installation } from '../installation.ts';
import { type Finding, ok, problem } from './finding.ts';

const WHAT = "ledger's database";

/** Where the ledger is in a database: whether that answers and is fit for it. */
export async function checkLedgerDatabase({ configurations }: Installation): Promise<readonly Finding[]> {
  const place = configurations.broker.ledger?.place;
  if (place === undefined) return [];
  const connection = createConnection(place, 'co-pilot doctor');
  try {
    await connection.session();
    return [ok(WHAT, `${placeText(place)} answers, and keeps what it acknowledges`)];
  } catch (caught) {
    return [problem(WHAT, toCoPilotError(caught).message, 'see docs/operator.md, several brokers')];
  } finally {
    await connection.close();
  }
}
