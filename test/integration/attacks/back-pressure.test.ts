import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AnswerAsk } from '../../../adapters/adapter-program.ts';
import type { LedgerKeeping } from '../../../broker/ledger/keeping.ts';
import type { Ledger } from '../../../broker/ledger/ledger.ts';
import { openSqliteLedger } from '../../../broker/ledger/sqlite.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { Lease } from '../../../protocol/generated/types.ts';
import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import { type LiveBroker, openLiveBroker } from '../../doubles/live-broker.ts';

const SLOW_MS = 150;
const EVENTS = new TextEncoder().encode('the events');

let broker: LiveBroker;
let ledgerIs: 'well' | 'slow' | 'busy' = 'well';
let isStorageSilent = false;

beforeAll(async () => {
  broker = await openLiveBroker({
    openLedger: async (options) => troubled(await openSqliteLedger(options)),
    queue: { leaseMs: 120_000, firstRenewMs: 120_000 },
    aroundStorage,
  });
});
afterAll(() => broker.close());

/** A disk that is slow, or a queue before it that is full. */
function troubled(inner: Ledger & LedgerKeeping): Ledger & LedgerKeeping {
  return {
    async apply(commands) {
      if (ledgerIs === 'busy')
        throw new CoPilotError('LEDGER_UNAVAILABLE', 'the ledger is busy: its queue is full');
      if (ledgerIs === 'slow') await new Promise<void>((resolve) => nodeClock.schedule(SLOW_MS, resolve));
      return inner.apply(commands);
    },
    due: (limit) => inner.due(limit),
    list: (query, after, limit) => inner.list(query, after, limit),
    job: (id) => inner.job(id),
    agent: (id) => inner.agent(id),
    count: () => inner.count(),
    owner: (id) => inner.owner(id),
    nowMs: () => inner.nowMs(),
    agents: (after, limit) => inner.agents(after, limit),
    accounts: (after, limit) => inner.accounts(after, limit),
    prune: (retention, limit) => inner.prune(retention, limit),
    snapshot: (path, onProgress) => inner.snapshot(path, onProgress),
    close: () => inner.close(),
  };
}

function aroundStorage(answer: AnswerAsk): AnswerAsk {
  return (item) => (isStorageSilent ? new Promise(() => undefined) : answer(item));
}

async function endsOnce(job: string): Promise<void> {
  expect((await broker.end(job)).progress.state).toBe('finished');
  const { attempts } = (await broker.job(job)).job;
  expect(attempts.filter(({ state }) => state === 'committed')).toHaveLength(1);
}

describe('back-pressure', () => {
  it('a slow ledger makes agents wait for their answers, and every job ends once (I3, I4)', async () => {
    const agents = await Promise.all([broker.agent(), broker.agent()]);
    ledgerIs = 'slow';
    const jobs = Array.from({ length: 4 }, () => broker.submit());
    await Promise.all(
      agents.map(async (agent) => {
        for (let done = 0; done < 2; done += 1)
          expect(['verifying', 'committed']).toContain((await agent.work()).verdict);
      }),
    );
    ledgerIs = 'well';
    for (const job of jobs) await endsOnce(job);
  });

  it('a full queue of the ledger is told as busy, without a word of what is behind; said again it works', async () => {
    const job = broker.submit();
    const agent = await broker.agent();
    const lease = await agent.takeJob();
    const report = {
      ...agent.report(lease, [await agent.upload(lease, 'events.dat', EVENTS)]),
      counter: agent.count(),
    };
    ledgerIs = 'busy';
    for (let again = 0; again < 3; again += 1)
      expect(await agent.ask(report)).toMatchObject({
        kind: 'error',
        code: 'LEDGER_UNAVAILABLE',
        message: 'a fault of the broker; nothing changed, ask again',
      });
    ledgerIs = 'well';
    expect(await agent.ask(report)).toMatchObject({ kind: 'reported', verdict: 'committed' });
    await endsOnce(job);
  });

  it('while the storage adapter is silent a lease comes without capabilities; they are to be had when it is back', async () => {
    const job = broker.submit();
    const agent = await broker.agent();
    isStorageSilent = true;
    const lease: Lease = await agent.takeJob();
    expect(lease).toMatchObject({ job, capabilities: [] });
    isStorageSilent = false;
    const file = { name: 'events.dat', size: EVENTS.length, sha256: '0'.repeat(64) };
    const wish = { job, attempt: lease.attempt, verb: 'put', files: [file] };
    const answer = (await agent.ask({ kind: 'outputs', ...wish })) as {
      readonly capabilities?: Lease['capabilities'];
    };
    expect(answer.capabilities).toHaveLength(1);
    const again = (await broker.job(job)).job;
    expect(again.attempts.map(({ state }) => state)).toEqual(['live']);
  });
});
