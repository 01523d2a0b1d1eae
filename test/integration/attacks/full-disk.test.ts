import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AnswerAsk } from '../../../adapters/adapter-program.ts';
import { openLedgerIn } from '../../../broker/ledger/sqlite.ts';
import type { File } from '../../../protocol/generated/types.ts';
import { eventuallyTrue } from '../../doubles/eventually.ts';
import { type LiveBroker, openLiveBroker } from '../../doubles/live-broker.ts';

const WORKER = new URL('./full-ledger-worker.ts', import.meta.url);
/** Together with a log's tail more than a page of the ledger: their report cannot be written over what is there. */
const OUTPUTS = Array.from({ length: 16 }, (_, at) => ({ name: `${'x'.repeat(120)}.${at}` }));
const EVENTS = new TextEncoder().encode('the events');

/** What storage may be asked and cannot do while its disk is full. */
const WRITES: ReadonlySet<string> = new Set(['verify', 'finalise', 'discard']);

let broker: LiveBroker;
let isStorageFull = false;
const refused = new Set<string>();

beforeAll(async () => {
  broker = await openLiveBroker({
    openLedger: (options) => openLedgerIn(WORKER, options),
    queue: { leaseMs: 60_000, firstRenewMs: 60_000 },
    aroundStorage,
  });
});

afterAll(() => broker.close());

function aroundStorage(answer: AnswerAsk): AnswerAsk {
  return async (item) => {
    if (!isStorageFull || !WRITES.has(item.op)) return answer(item);
    refused.add(item.op);
    return { result: 'refused', code: 'STORAGE_FULL', message: 'the disk is full' };
  };
}

function randomText(length: number): string {
  return randomBytes(length).toString('base64').slice(0, length);
}

async function whileFull(act: () => Promise<void>): Promise<void> {
  const flag = join(broker.directory, 'broker/ledger.sqlite.full');
  await writeFile(flag, '');
  try {
    await act();
  } finally {
    await rm(flag);
  }
}

async function finishedOnce(job: string, manifest: readonly File[]): Promise<void> {
  expect(await broker.end(job)).toMatchObject({ progress: { state: 'finished' }, manifest });
  const { attempts } = (await broker.job(job)).job;
  expect(attempts.map(({ state, number }) => ({ state, number }))).toEqual([
    { state: 'committed', number: 1 },
  ]);
}

describe('a full disk under the ledger', () => {
  it('refuses a report with LEDGER_FULL and no word of where it lies; said again it commits, once (I3, I4)', async () => {
    const job = broker.submit({ outputs: OUTPUTS });
    const agent = await broker.agent();
    const lease = await agent.takeJob();
    const manifest: File[] = [];
    for (const { name } of OUTPUTS) manifest.push(await agent.upload(lease, name, EVENTS));
    const report = {
      ...agent.report(lease, manifest, { logTail: randomText(2_000) }),
      counter: agent.count(),
    };
    await whileFull(async () => {
      for (let repeat = 0; repeat < 3; repeat += 1) {
        const answer = await agent.ask(report);
        expect(answer).toMatchObject({ kind: 'error', code: 'LEDGER_FULL' });
        expect(JSON.stringify(answer)).not.toContain('/');
      }
      expect((await broker.job(job)).job.state).toBe('leased');
    });
    expect(await agent.ask(report)).toMatchObject({ kind: 'reported', verdict: 'committed' });
    await finishedOnce(job, manifest);
  });

  it('leaves new jobs with their framework until there is room (I4)', async () => {
    const jobs: string[] = [];
    const agent = await broker.agent();
    await whileFull(async () => {
      for (let count = 0; count < 8; count += 1)
        jobs.push(broker.submit({ arguments: Array.from({ length: 3 }, () => randomText(3_000)) }));
      // The broker is asked of something else meanwhile: it lives.
      const renewed = await agent.ask({ kind: 'renew', leases: [], seen: [] });
      expect(renewed).toMatchObject({ kind: 'renewed' });
      await eventuallyTrue(
        'the jobs to be handed over',
        () => jobs.every((job) => broker.framework.record(job)?.progress.state === 'handed'),
        10_000,
      );
    });
    // A new start of the adapter hands over at once what was not acknowledged; the old one would by itself, after 10 s.
    broker.framework.restart();
    for (let done = 0; done < jobs.length; done += 1)
      expect(await agent.work()).toMatchObject({ verdict: 'committed' });
    for (const job of jobs) expect((await broker.end(job)).progress.state).toBe('finished');
  });
});

describe('a full disk under the bridge', () => {
  it('holds the commit up at each of its steps, and lets it go on when there is room (I3, I4)', async () => {
    const job = broker.submit();
    const agent = await broker.agent();
    const lease = await agent.takeJob();
    const manifest = [await agent.upload(lease, 'events.dat', EVENTS)];
    isStorageFull = true;
    expect(await agent.ask(agent.report(lease, manifest))).toMatchObject({ verdict: 'verifying' });
    expect((await broker.job(job)).job.state).toBe('reported');
    expect(refused).toContain('verify');
    isStorageFull = false;
    await finishedOnce(job, manifest);
    // The agent hears of it with whatever it says next.
    const { verdicts } = (await agent.ask({ kind: 'renew', leases: [], seen: [] })) as { verdicts?: object };
    expect(verdicts).toEqual([{ job, attempt: 1, verdict: 'committed', reason: '' }]);
  });
});
