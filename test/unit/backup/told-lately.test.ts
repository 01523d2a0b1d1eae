import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { encodeAudit } from '../../../broker/core/audit.ts';
import type { AuditRecord } from '../../../broker/core/command.ts';
import type { JobState } from '../../../broker/core/state.ts';
import { toldLately } from '../../../broker/ledger/told-lately.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const NOW_MS = 10_000_000;
let directory: string;
let path: string;
let ledger: DatabaseSync;
beforeEach(async () => {
  directory = await temporaryDirectory('told-lately');
  path = join(directory, 'ledger.sqlite');
  ledger = new DatabaseSync(path);
  ledger.exec(`CREATE TABLE job (id TEXT, state TEXT, row TEXT); CREATE TABLE audit (first INTEGER PRIMARY KEY, lines TEXT);
    CREATE TABLE meta (name TEXT, value TEXT)`);
  ledger.prepare('INSERT INTO meta VALUES (?, ?)').run('ledger', JSON.stringify({ clockMs: NOW_MS }));
});
afterEach(async () => {
  ledger.close();
  await removeDirectory(directory);
});

const add = (id: string, state: JobState, queue = 'crab'): void =>
  void ledger.prepare('INSERT INTO job VALUES (?, ?, ?)').run(id, state, JSON.stringify({ id, queue }));
const note = (
  first: number,
  ...records: readonly (Partial<AuditRecord> & { readonly atMs: number })[]
): void => {
  const whole = { kind: 'final', job: '', attempt: 1, agent: '', detail: 'told' } as const;
  const lines = records.map(({ atMs, ...record }) => encodeAudit({ ...whole, ...record }, atMs));
  ledger.prepare('INSERT INTO audit VALUES (?, ?)').run(first, `${lines.join('\n')}\n`);
};
const found = (withinMs: number): readonly string[] =>
  [...toldLately(path, { queues: ['crab'], withinMs })].toSorted();

it('names what was told after the copy of the adapter, and every job that failed, of its queues alone', () => {
  for (const id of ['early', 'late', 'of-others', 'edge'])
    add(id, 'told', id === 'of-others' ? 'main' : 'crab');
  add('failed', 'failed');
  add('cancelled', 'cancelled');
  add('failed-of-others', 'failed', 'main');
  add('open', 'leased');
  note(1, { job: 'early', atMs: NOW_MS - 90_000 }, { job: 'edge', atMs: NOW_MS - 65_000 });
  note(3, { job: 'late', atMs: NOW_MS - 10 }, { job: 'of-others', atMs: NOW_MS - 5 });
  // A minute more than asked for: machines are slow.
  expect(found(5_000)).toEqual(['cancelled', 'edge', 'failed', 'late']);
  expect(found(0)).toEqual(['cancelled', 'failed', 'late']);
  expect(found(60_000)).toEqual(['cancelled', 'early', 'edge', 'failed', 'late']);
});

it('goes by the end of a job, not by other records of it', () => {
  add('committed-late', 'told');
  note(1, { job: 'committed-late', atMs: NOW_MS - 500_000 });
  note(
    2,
    { job: 'committed-late', kind: 'commit', atMs: NOW_MS - 10 },
    { job: 'x', detail: 'failed: told', atMs: NOW_MS },
  );
  expect(found(1_000)).toEqual([]);
});

it('is refused by what is no ledger', () => {
  ledger.exec('DROP TABLE audit');
  expect(() => found(0)).toThrow(expect.objectContaining({ code: expect.stringMatching(/^LEDGER_/) }));
});
