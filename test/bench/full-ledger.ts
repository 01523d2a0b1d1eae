import { newId } from '../../protocol/encoding.ts';
import { createCrypto, nodeRandom } from '../../protocol/runtime/node-runtime.ts';
import type { Command } from '../../broker/core/command.ts';
import { openSqliteStore, STATEMENTS } from '../../broker/ledger/sqlite-store.ts';
import { bucketOf } from '../../broker/matching/bucket.ts';
import { DESCRIPTION, newJob, QUEUE } from './stage.ts';

const GROUP = 1_000;
/** Those that neither a command nor a sweep uses. */
const NOT_HOT = new Set<string>(['all']);

/** Makes a ledger with so many queued jobs; answers the plans of statements that would read a whole table. */
export function fillLedger(path: string, jobs: number): readonly string[] {
  const store = openSqliteStore(path);
  try {
    // What is lost where the machine dies now is a benchmark.
    store.database.exec('PRAGMA synchronous = OFF');
    for (let done = 0; done < jobs; done += GROUP)
      store.apply(Array.from({ length: Math.min(GROUP, jobs - done) }, acceptJob), 0);
    const hot = Object.entries(STATEMENTS).filter(([name]) => !NOT_HOT.has(name));
    return hot.flatMap(([name, text]) => {
      const steps = store.database.prepare(`EXPLAIN QUERY PLAN ${text}`).all();
      const details = steps.map(({ detail }) => String(detail));
      // An index that holds only the rows asked for is walked, not a table.
      const isScan = (detail: string): boolean => detail.startsWith('SCAN') && !detail.includes('USING');
      return details.filter(isScan).map((detail) => `${name}: ${detail}`);
    });
  } finally {
    store.close(0);
  }
}

const crypto = createCrypto();
const bucket = bucketOf((data) => crypto.sha256(data), QUEUE, DESCRIPTION).key;
const description = JSON.stringify(DESCRIPTION);

/** A new job as the broker would accept it. */
export function acceptJob(): Command {
  const { job: id, ref, owner, site, campaign, priority, retries } = newJob(newId(nodeRandom));
  const known = { id, queue: QUEUE, ref, owner, site, campaign, priority, bucket, retries };
  return { kind: 'accept', job: { ...known, maxLost: 20, adapterState: '', description } };
}
