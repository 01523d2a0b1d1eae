import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Command, Outcome } from '../../broker/core/command.ts';
import { invariants } from '../../broker/core/invariants.ts';
import type { LedgerKeeping } from '../../broker/ledger/keeping.ts';
import type { JobQuery, Ledger } from '../../broker/ledger/ledger.ts';
import type { ManualClock } from '../doubles/manual-clock.ts';
import {
  accept,
  cancel,
  expire,
  finalised,
  hello,
  lease,
  renew,
  report,
  TERMS,
  told,
  verified,
} from '../unit/lease-machine/world.ts';

/** One ledger under test: its store outlives the handles opened on it. */
export interface LedgerUnderTest {
  readonly clock: ManualClock;
  /** Opens the store: a new one the first time, as it was left later. */
  open(): Promise<Ledger & LedgerKeeping>;
  /** The open handle dies as in a crash: nothing is closed, what was acknowledged stays. */
  crash(): Promise<void>;
  dispose(): Promise<void>;
}

/** What every ledger promises (broker/ledger/ledger.ts). */
export function ledgerConformance(create: () => Promise<LedgerUnderTest>): void {
  let subject: LedgerUnderTest;
  let ledger: Ledger & LedgerKeeping;

  beforeEach(async () => {
    subject = await create();
    ledger = await subject.open();
  });
  afterEach(async () => {
    await ledger.close();
    await subject.dispose();
  });

  const one = async (command: Command): Promise<Outcome> => (await ledger.apply([command]))[0]!;
  const kinds = async (...commands: readonly Command[]): Promise<readonly string[]> =>
    (await ledger.apply(commands)).map((outcome) =>
      outcome.kind === 'refused' ? outcome.code : outcome.kind,
    );
  const ids = async (kind: JobQuery['kind'], after = '', limit = 100): Promise<readonly string[]> =>
    (await ledger.list({ kind }, after, limit)).map(({ job }) => job.id);
  const reopened = async (): Promise<void> => {
    await ledger.close();
    ledger = await subject.open();
  };
  const crashed = async (): Promise<void> => {
    await subject.crash();
    ledger = await subject.open();
  };

  it('tells operators its clock, in which rows count, and the owners it knows', async () => {
    expect(await ledger.owner('nobody')).toBeUndefined();
    await one(hello('a'));
    const { owner } = (await ledger.agent('a'))!;
    expect(await ledger.owner(owner)).toMatchObject({ id: owner, banned: false, live: 0 });
    await one(accept('j'));
    const before = await ledger.nowMs();
    expect((await ledger.job('j'))!.job.createdMs).toBeLessThanOrEqual(before);
    await subject.clock.run(5_000);
    expect((await ledger.nowMs()) - before).toBe(5_000);
  });

  it('lists agents in the order of their ids, page by page', async () => {
    await ledger.apply([hello('c'), hello('a'), hello('b')]);
    await ledger.apply([{ kind: 'drain', agent: 'b', draining: true }]);
    const { agents, nowMs } = await ledger.agents('', 2);
    expect(agents.map(({ id, status }) => [id, status])).toEqual([
      ['a', 'active'],
      ['b', 'draining'],
    ]);
    expect(nowMs).toBeGreaterThanOrEqual(0);
    expect((await ledger.agents('b', 2)).agents.map(({ id }) => id)).toEqual(['c']);
    await crashed();
    expect((await ledger.agents('a', 1)).agents[0]?.status).toBe('draining');
  });

  it('answers in the order of the commands, each seeing the ones before it', async () => {
    expect(await kinds(accept('j1'), lease('a', 'j1', 1), hello('a'), lease('a', 'j1', 1))).toEqual([
      'accepted',
      'NOT_FOUND',
      'welcome',
      'leased',
    ]);
    expect(await kinds()).toEqual([]);
  });

  it('keeps rows whole: job, description, duties and agent', async () => {
    await kinds(hello('a'), accept('j1'), lease('a', 'j1', 1), report('a', 'j1', 1, 2));
    const stored = (await ledger.job('j1'))!;
    expect(stored.description).toBe('{"id":"j1"}');
    expect(stored.duties).toEqual([{ kind: 'verify', attempt: 1 }]);
    expect(stored.job.attempts[0]).toMatchObject({ agent: 'a', state: 'reported', signature: 'c2lnbmVk' });
    expect(await ledger.agent('a')).toMatchObject({ held: [{ job: 'j1', attempt: 1, live: false }] });
    expect(await ledger.job('j2')).toBeUndefined();
    expect(await ledger.agent('b')).toBeUndefined();
  });

  it('I1 of many that ask for one job at once, one gets it', async () => {
    const agents = Array.from({ length: 50 }, (_, at) => `a${at}`);
    await ledger.apply([accept('j1'), ...agents.map((agent) => hello(agent))]);
    const outcomes = await Promise.all(agents.map((agent) => one(lease(agent, 'j1', 1))));
    expect(outcomes.filter(({ kind }) => kind === 'leased')).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome.kind === 'refused')).toHaveLength(49);
  });

  it('W-8 a revocation counts from the next group on, whatever was kept of the agent', async () => {
    await kinds(hello('a'), accept('j1'), accept('j2'));
    expect(await kinds(lease('a', 'j1', 1))).toEqual(['leased']);
    expect(await kinds({ kind: 'revoke', agent: 'a', reason: 'stolen' })).toEqual(['revoked']);
    expect(await kinds(lease('a', 'j2', 2))).toEqual(['REVOKED']);
    expect(await kinds(hello('a'), renew('a', 'j1', 1))).toEqual(['REVOKED', 'REVOKED']);
    expect(await ledger.agent('a')).toMatchObject({ status: 'revoked', held: [] });
  });

  it('shows everything again after it was closed, and what was acknowledged after a crash', async () => {
    await kinds(hello('a'), accept('j1'), lease('a', 'j1', 1));
    await reopened();
    expect(await kinds(report('a', 'j1', 1, 2), verified('j1', 1))).toEqual(['reported', 'changed']);
    await crashed();
    expect(await kinds(report('a', 'j1', 1, 2), finalised('j1', 1))).toEqual(['repeat', 'changed']);
    await crashed();
    expect(await kinds(finalised('j1', 1), told('j1'))).toEqual(['unchanged', 'told']);
    const { job } = (await ledger.job('j1'))!;
    const agent = (await ledger.agent('a'))!;
    expect(job.state).toBe('told');
    expect(invariants({ jobs: [job], agents: [agent], owners: [] })).toEqual([]);
  });

  it('T-25 keeps the events of the answer that was recorded first, through a crash as well', async () => {
    await kinds(hello('a'), accept('j1'), lease('a', 'j1', 1), report('a', 'j1', 1, 2), verified('j1', 1));
    expect((await ledger.job('j1'))!.job.events).toBe(0);
    expect(await kinds(finalised('j1', 1), told('j1', 'ok', '', 1_000))).toEqual(['changed', 'told']);
    expect(await kinds(told('j1', 'ok', '', 7), told('j1', 'refused', 'late'))).toEqual([
      'unchanged',
      'unchanged',
    ]);
    await crashed();
    expect(await kinds(told('j1', 'ok', '', 1_000))).toEqual(['unchanged']);
    expect((await ledger.job('j1'))!.job).toMatchObject({ state: 'told', events: 1_000 });
  });

  it('names the jobs that are due, the longest overdue first', async () => {
    await kinds(hello('a'), accept('j1'), accept('j2'), accept('j3'), lease('a', 'j2', 1));
    subject.clock.advance(1_000);
    await kinds(lease('a', 'j1', 2), lease('a', 'j3', 3), renew('a', 'j3', 1));
    subject.clock.advance(TERMS.firstRenewMs - 1_000);
    expect(await ledger.due(10)).toEqual([]);
    subject.clock.advance(1_001);
    expect(await ledger.due(10)).toEqual(['j2', 'j1']);
    expect(await ledger.due(1)).toEqual(['j2']);
    expect(await kinds(expire('j1'), expire('j2'), expire('j3'))).toEqual([
      'changed',
      'changed',
      'unchanged',
    ]);
    expect(await ledger.due(10)).toEqual([]);
  });

  it('lists jobs by condition, in the order of acceptance, page by page', async () => {
    await ledger.apply([hello('a'), ...['z', 'm', 'a', 'k', 'b'].map((job) => accept(job))]);
    await kinds(lease('a', 'm', 1), lease('a', 'k', 2), report('a', 'k', 1, 3), cancel('b'));
    expect(await ids('all')).toEqual(['z', 'm', 'a', 'k', 'b']);
    expect(await ids('all', 'm', 2)).toEqual(['a', 'k']);
    expect(await ids('all', 'b')).toEqual([]);
    expect(await ids('all', 'no such job', 2)).toEqual(['z', 'm']);
    expect(await ids('queued')).toEqual(['z', 'a']);
    expect(await ids('queued', 'z')).toEqual(['a']);
    expect(await ids('live')).toEqual(['m']);
    expect(await ids('duties')).toEqual(['k', 'b']);
    expect((await ledger.list({ kind: 'duties' }, '', 1))[0]!.duties).toEqual([
      { kind: 'verify', attempt: 1 },
    ]);
  });

  it('counts jobs by state, through a crash as well', async () => {
    await kinds(hello('a'), accept('j1'), accept('j2'), accept('j3'), lease('a', 'j1', 1), cancel('j3'));
    await crashed();
    const counts = await ledger.count();
    expect([counts.queued, counts.leased, counts.cancelled]).toEqual([1, 1, 1]);
  });

  it('I4 after an outage of any length every live lease has a whole lease from then', async () => {
    await kinds(hello('a'), accept('j1'), lease('a', 'j1', 1));
    subject.clock.advance(TERMS.firstRenewMs - 1);
    await kinds(accept('j2'));
    await subject.crash();
    subject.clock.advance(1_000 * TERMS.leaseMs);
    ledger = await subject.open();
    expect(await ledger.due(10)).toEqual([]);
    subject.clock.advance(TERMS.leaseMs);
    expect(await ledger.due(10)).toEqual([]);
    expect(await kinds(renew('a', 'j1', 1))).toEqual(['renewed']);
    subject.clock.advance(TERMS.leaseMs + 1);
    expect(await ledger.due(10)).toEqual(['j1']);
  });

  it('never follows the wall clock', async () => {
    await kinds(hello('a'), accept('j1'), lease('a', 'j1', 1));
    subject.clock.jumpWall(1_000 * TERMS.leaseMs);
    expect(await ledger.due(10)).toEqual([]);
    subject.clock.jumpWall(-2_000 * TERMS.leaseMs);
    expect(await kinds(renew('a', 'j1', 1))).toEqual(['renewed']);
  });

  it('I7 keeps ids and texts as they are, whatever they look like', async () => {
    const names = ["'; DROP TABLE job; --", '__proto__', 'constructor', '../../etc/passwd', 'Jöb 🎲', '%_\\'];
    await ledger.apply(
      names.flatMap((name) => [hello(name), accept(name, { description: `${name}"\u0000\n` })]),
    );
    await ledger.apply(names.map((name) => lease(name, name, 1)));
    await reopened();
    expect(await ids('all')).toEqual(names);
    for (const name of names) {
      const stored = (await ledger.job(name))!;
      expect(stored.description).toBe(`${name}"\u0000\n`);
      expect(stored.job.attempts[0]?.agent).toBe(name);
    }
  });

  it('I9 says busy at once where its queue is full, and goes on with what it took', async () => {
    await one(hello('a'));
    const jobs = Array.from({ length: 10_000 }, (_, at) => accept(`j${at}`));
    const taken = ledger.apply(jobs);
    await expect(ledger.apply([accept('one too many')])).rejects.toMatchObject({
      code: 'LEDGER_UNAVAILABLE',
    });
    expect(await taken).toHaveLength(10_000);
    expect((await ledger.count()).queued).toBe(10_000);
    expect(await kinds(accept('one too many'))).toEqual(['accepted']);
  });

  it('finishes what it took before it closes, closes twice, and takes nothing afterwards', async () => {
    const taken = ledger.apply([accept('j1')]);
    await Promise.all([ledger.close(), ledger.close()]);
    expect((await taken)[0]).toMatchObject({ kind: 'accepted' });
    await expect(ledger.apply([accept('j2')])).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    await expect(ledger.job('j1')).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    ledger = await subject.open();
    expect(await ids('all')).toEqual(['j1']);
  });
}
