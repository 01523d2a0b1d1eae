import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { invariants } from '../../../broker/core/invariants.ts';
import type { AgentRow, JobRow } from '../../../broker/core/state.ts';
import { openSqliteLedger } from '../../../broker/ledger/sqlite.ts';
import { openSqliteStore, type SqliteStore } from '../../../broker/ledger/sqlite-store.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { SILENT, temporaryFolder } from './ledger-file.ts';

const STEPS = ['queued', 'leased', 'reported', 'committing', 'committed'];
const WRITER = new URL('./writer.ts', import.meta.url);

let folder: string;
let path: string;
let child: ChildProcess | undefined;
beforeEach(async () => {
  folder = await temporaryFolder();
  path = join(folder, 'ledger.sqlite');
});
afterEach(async () => {
  child?.kill('SIGKILL');
  await rm(folder, { recursive: true });
});

/** Lets a process write until it has acknowledged `lines` outcomes, kills it in the middle of a group, and returns those lines. */
async function writeAndKill(run: number, lines: number): Promise<readonly string[]> {
  const writer = spawn(process.execPath, [WRITER.pathname, path, String(run)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child = writer;
  const exited = once(writer, 'exit');
  const heard: string[] = [];
  for await (const line of createInterface({ input: writer.stdout })) {
    heard.push(line);
    if (heard.length === lines) writer.kill('SIGKILL');
  }
  await exited;
  return heard;
}

function allJobs(store: SqliteStore): readonly JobRow[] {
  const jobs: JobRow[] = [];
  for (;;) {
    const page = store.list('all', jobs.at(-1)?.id ?? '', 500);
    if (page.length === 0) return jobs;
    jobs.push(...page.map(({ job }) => job));
  }
}

describe('kill -9 in the middle of groups', () => {
  it('I1 I3 I4 every acknowledged outcome is there, and all rows tell one story, three times over', async () => {
    const heard: string[] = [];
    for (const run of [1, 2, 3]) {
      heard.push(...(await writeAndKill(run, 1_500 * run)));
      const store = openSqliteStore(path);
      const jobs = new Map(allJobs(store).map((job) => [job.id, job]));
      for (const line of heard) {
        const [id = '', step = '', outcome] = line.split(' ');
        expect(outcome).not.toBe('refused');
        const state = jobs.get(id)?.state ?? 'lost';
        expect(STEPS.indexOf(state), `${line}, found ${state}`).toBeGreaterThanOrEqual(STEPS.indexOf(step));
      }
      const agents = Array.from({ length: 40 }, (_, at) => store.agent(`a${at}`)).filter(isRow);
      expect(invariants({ jobs: [...jobs.values()], agents, owners: [] })).toEqual([]);
      expect(countStates(jobs.values())).toEqual(nonZero(store.count()));
      store.close(store.clockMs);
    }
  });

  it('a ledger another process holds is LEDGER_IN_USE, and free once that one is killed', async () => {
    const writer = spawn(process.execPath, [WRITER.pathname, path, '1'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    child = writer;
    const exited = once(writer, 'exit');
    await once(writer.stdout, 'data');
    writer.stdout.resume();
    const options = { path, clock: createManualClock(), log: SILENT };
    await expect(openSqliteLedger(options)).rejects.toMatchObject({ code: 'LEDGER_IN_USE' });
    writer.kill('SIGKILL');
    await exited;
    await (await openSqliteLedger(options)).close();
  });
});

function isRow(row: AgentRow | undefined): row is AgentRow {
  return row !== undefined;
}

function countStates(jobs: Iterable<JobRow>): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { state } of jobs) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}

function nonZero(counts: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));
}
