import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Command, Outcome } from '../../broker/core/command.ts';
import { openSqliteStore, type SqliteStore } from '../../broker/ledger/sqlite-store.ts';
import { DEFAULT_LIMITS } from '../../broker/service/configuration.ts';
import { DESCRIPTION, newJob, QUEUE } from './stage.ts';

/** What one full cycle writes to the ledger. */
export interface WriteVolume {
  readonly rows: number;
  /** Of text, keys and what SQLite adds left out; audit records not counted. */
  readonly bytes: number;
  readonly auditBytes: number;
}

const CYCLES = 200;
const ID_LENGTH = 26;
const SHA256 = '0123456789abcdef'.repeat(4);
const TABLES = { job: 'row', description: 'text', agent: 'row', owner: 'row', audit: 'lines', meta: 'value' };

/**
 * Takes one agent through cycles on a ledger of its own, every step in the group it has at least, and lets triggers count: so the
 * floor is asked to write what the ledger writes, whatever that becomes.
 */
export function measureWriteVolume(): WriteVolume {
  const directory = mkdtempSync(join(tmpdir(), 'co-pilot-volume-'));
  const store = openSqliteStore(join(directory, 'ledger.sqlite'));
  try {
    const cycle = createCycle(store);
    cycle();
    cycle();
    count(store.database);
    for (let done = 0; done < CYCLES; done += 1) cycle();
    return read(store.database);
  } finally {
    store.close(0);
    rmSync(directory, { recursive: true });
  }
}

function count(database: DatabaseSync): void {
  database.exec(
    'CREATE TEMP TABLE volume (rows INTEGER, bytes INTEGER, auditBytes INTEGER); INSERT INTO volume VALUES (0, 0, 0);',
  );
  for (const [table, column] of Object.entries(TABLES)) {
    for (const event of ['INSERT', 'UPDATE']) {
      // A row of `meta` and one of `audit` belong to a group, and groups are large under load: of audit the bytes count, the rows do not.
      if (table === 'meta') continue;
      const [rows, bytes] = table === 'audit' ? [0, 'auditBytes'] : [1, 'bytes'];
      database.exec(
        `CREATE TEMP TRIGGER count_${table}_${event} AFTER ${event} ON main.${table} BEGIN UPDATE volume SET rows = rows + ${rows}, ${bytes} = ${bytes} + length(new.${column}); END;`,
      );
    }
  }
}

function read(database: DatabaseSync): WriteVolume {
  const found = database.prepare('SELECT rows, bytes, auditBytes FROM volume').get();
  const each = (column: string): number => Number(found?.[column]) / CYCLES;
  return { rows: each('rows'), bytes: each('bytes'), auditBytes: each('auditBytes') };
}

function createCycle(store: SqliteStore): () => void {
  const agent = 'a'.repeat(ID_LENGTH);
  const start = 's'.repeat(ID_LENGTH);
  let counter = 0;
  let held = '';
  const apply = (...commands: readonly Command[]): readonly Outcome[] => store.apply(commands, counter);
  const lease = (job: string): Command => ({
    kind: 'lease',
    agent,
    start,
    slot: 1,
    counter,
    afterReport: held !== '',
    job,
    terms: { leaseMs: 900_000, firstRenewMs: 60_000 },
    limits: DEFAULT_LIMITS,
    seen: [],
  });
  const report = (job: string): Command => ({
    kind: 'report',
    agent,
    start,
    slot: 1,
    counter,
    job,
    attempt: 1,
    exit: { kind: 'exited', code: 0 },
    manifest: [{ name: 'events.dat', size: 1000, sha256: SHA256 }],
    usage: { wallSeconds: 12.5, cpuSeconds: 11.75, memoryMiB: 96.5, diskMiB: 0.25 },
    logTail: 'generated 5000 events\nwrote events.dat\n',
    signature: 'x'.repeat(86),
    limits: DEFAULT_LIMITS,
    seen: [{ job: `${counter - 2}`.padStart(ID_LENGTH, 'j'), attempt: 1 }],
  });
  apply({ kind: 'hello', agent, owner: 'owner-1', site: 'bench', tier: 'untrusted', start });

  return () => {
    counter += 1;
    const job = `${counter}`.padStart(ID_LENGTH, 'j');
    apply({ kind: 'accept', job: acceptedJob(job) });
    if (held === '') apply(lease(job));
    else {
      apply(report(held), lease(job));
      const files = [{ name: 'events.dat', size: 1000, sha256: SHA256 }];
      apply({
        kind: 'verified',
        job: held,
        attempt: 1,
        result: { kind: 'verified', files },
        limits: DEFAULT_LIMITS,
      });
      const [outcome] = apply({ kind: 'finalised', job: held, attempt: 1 });
      if (outcome?.kind !== 'changed' || outcome.job.state !== 'committed')
        throw new Error('a cycle did not end in a committed job');
      apply({ kind: 'told', job: held, answer: 'ok', reason: '', events: 0 });
    }
    held = job;
  };
}

function acceptedJob(id: string): Extract<Command, { kind: 'accept' }>['job'] {
  const { ref, owner, site, campaign, priority, retries } = newJob(id);
  const bucket = 'b'.repeat(ID_LENGTH);
  const description = JSON.stringify(DESCRIPTION);
  const known = { id, queue: QUEUE, ref, owner, site, campaign, priority, bucket, retries };
  return { ...known, maxLost: 20, adapterState: '', description };
}
