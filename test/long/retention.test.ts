import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ledgerRetention } from '../../broker/service/housekeeping.ts';
import { openSqliteStore, type SqliteStore } from '../../broker/ledger/sqlite-store.ts';
import { newId } from '../../protocol/encoding.ts';
import { nodeRandom } from '../../protocol/runtime/node-runtime.ts';
import { removeDirectory, temporaryDirectory } from '../doubles/temporary-directory.ts';
import { accept, finalised, hello, lease, report, told, verified } from '../unit/lease-machine/world.ts';

/** A million; fewer for a look at the figures. */
const JOBS = Number(process.env.RETENTION_JOBS ?? 1_000_000);
const GROUP = 50;
const SAMPLE = JOBS / 100;
const AGENTS = Array.from({ length: GROUP }, (_, at) => `agent-${at}`);
const STEP_ROWS = 64;
const DESCRIPTION = JSON.stringify({ command: './run', arguments: ['x'.repeat(400)] });
const RETENTION = { ...ledgerRetention(), auditRecords: 3 * JOBS };

let folder: string;
let path: string;
let store: SqliteStore;
let counter = 0;

beforeAll(async () => {
  folder = await temporaryDirectory('retention');
  path = join(folder, 'ledger.sqlite');
  store = open();
  store.apply(
    AGENTS.map((agent) => hello(agent)),
    0,
  );
});
afterAll(async () => {
  store.close(0);
  await removeDirectory(folder);
});

function open(): SqliteStore {
  const opened = openSqliteStore(path);
  // What is measured is the work, not the disk; nothing here survives a power cut, and need not.
  opened.database.exec('PRAGMA synchronous = OFF');
  return opened;
}

/** Whole cycles of so many jobs, a group of agents at a time; answers the processor's microseconds for one. */
function finish(count: number): number {
  const fromUs = processorUs();
  for (let done = 0; done < count; done += GROUP) {
    counter += 2;
    const jobs = AGENTS.map((agent) => ({ agent, job: newId(nodeRandom) }));
    store.apply(
      jobs.flatMap(({ agent, job }) => [
        accept(job, { description: DESCRIPTION }),
        lease(agent, job, counter - 1),
        report(agent, job, 1, counter),
      ]),
      0,
    );
    store.apply(
      jobs.flatMap(({ agent, job }) => [
        verified(job, 1),
        finalised(job, 1),
        told(job),
        { kind: 'seen', agent, start: 's1', seen: [{ job, attempt: 1 }] } as const,
      ]),
      0,
    );
  }
  return (processorUs() - fromUs) / count;
}

/** Processor time of this process: a busy machine makes the same work take longer. */
function processorUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Removes all but the newest; answers the processor's milliseconds for each step, fastest first. */
function prune(keep: number): readonly number[] {
  const steps: number[] = [];
  let more = true;
  while (more) {
    const fromUs = processorUs();
    more = store.prune({ ...RETENTION, jobs: keep }, 0, STEP_ROWS).more;
    steps.push((processorUs() - fromUs) / 1000);
  }
  return steps.toSorted((a, b) => a - b);
}

function pages(): { readonly all: number; readonly free: number } {
  const of = (name: string): number => Number(store.database.prepare(`PRAGMA ${name}`).get()?.[name]);
  return { all: of('page_count'), free: of('freelist_count') };
}

it('a ledger with a million finished jobs works as one with few, shrinks to what is kept, and grows no more', async () => {
  const fewUs = finish(SAMPLE);
  finish(JOBS - 2 * SAMPLE);
  const manyUs = finish(SAMPLE);
  store.database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  const full = pages();
  store.close(0);
  const fileBytes = (await stat(path)).size;
  const from = performance.now();
  store = open();
  const openMs = performance.now() - from;

  const steps = prune(JOBS / 2);
  const halved = pages();
  const afterUs = finish(SAMPLE);
  // Once around: as many new ones as were removed find their room in the file.
  finish(JOBS / 10);
  prune(JOBS / 2);
  const steady = pages();
  finish(JOBS / 10);
  prune(JOBS / 2);
  const later = pages();
  const at = (fraction: number): number => steps[Math.floor((steps.length - 1) * fraction)] ?? 0;
  const figures = {
    fileBytes,
    bytesPerJob: fileBytes / JOBS,
    openMs,
    microsecondsPerJob: { few: fewUs, many: manyUs, afterPruning: afterUs },
    stepMs: { rows: STEP_ROWS, median: at(0.5), p99: at(0.99), longest: at(1) },
    pages: { full, halved, steady, later },
  };
  console.log(JSON.stringify(figures, null, 2));

  expect(store.count().told).toBe(JOBS / 2);
  expect(halved.free).toBeGreaterThan(full.all / 4);
  expect(later.all).toBeLessThanOrEqual(steady.all * 1.02);
  expect(manyUs / fewUs).toBeLessThan(1.5);
  expect(at(0.5)).toBeLessThan(50);
});
