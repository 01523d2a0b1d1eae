import { afterEach, beforeEach, expect, it } from 'vitest';
import { accountKey } from '../../broker/core/account.ts';
import type { Command } from '../../broker/core/command.ts';
import type { LedgerRetention } from '../../broker/core/prune.ts';
import type { Ledger } from '../../broker/ledger/ledger.ts';
import type { LedgerKeeping, Pruned } from '../../broker/ledger/keeping.ts';
import {
  accept,
  cancel,
  discarded,
  finalised,
  hello,
  lease,
  renew,
  report,
  told,
  verified,
} from '../unit/lease-machine/world.ts';
import type { LedgerUnderTest } from './ledger.ts';

const DAY_MS = 86_400_000;

const RETENTION: LedgerRetention = {
  jobMs: 30 * DAY_MS,
  jobs: 1_000,
  tombstoneMs: 100 * DAY_MS,
  identityMs: 9 * DAY_MS,
  agentMs: 90 * DAY_MS,
  auditRecords: 1_000,
};

export interface KeepingUnderTest extends LedgerUnderTest {
  open(): Promise<Ledger & LedgerKeeping>;
  /** Where a copy may go and how it is opened; left out where a ledger lies in no file. */
  readonly copy?: { readonly path: string; open(): Promise<Ledger & LedgerKeeping> };
}

/** What every ledger promises to those who keep it in order (broker/ledger/keeping.ts). */
export function ledgerKeepingConformance(create: () => Promise<KeepingUnderTest>): void {
  let subject: KeepingUnderTest;
  let ledger: Ledger & LedgerKeeping;

  beforeEach(async () => {
    subject = await create();
    ledger = await subject.open();
  });
  afterEach(async () => {
    await ledger.close();
    await subject.dispose();
  });

  const ids = async (): Promise<readonly string[]> =>
    (await ledger.list({ kind: 'all' }, '', 1_000)).map(({ job }) => job.id);
  /** Jobs taken to their end, as one agent does it. */
  async function finish(first: number, count: number): Promise<void> {
    for (let at = first; at < first + count; at += 1) {
      const job = `j${at}`;
      await ledger.apply([
        hello('a'),
        accept(job),
        lease('a', job, 2 * at + 1),
        report('a', job, 1, 2 * at + 2),
      ]);
      await ledger.apply([
        verified(job, 1),
        finalised(job, 1),
        told(job),
        { kind: 'seen', agent: 'a', start: 's1', seen: [{ job, attempt: 1 }] },
      ]);
    }
  }
  async function prune(retention: Partial<LedgerRetention> = {}, limit = 100): Promise<Pruned> {
    return ledger.prune({ ...RETENTION, ...retention }, limit);
  }

  it('removes jobs that ended long ago and no other', async () => {
    await finish(1, 3);
    await ledger.apply([accept('waits'), accept('failed'), cancel('failed')]);
    subject.clock.advance(31 * DAY_MS);
    await finish(4, 1);
    expect(await prune()).toMatchObject({ jobs: 3 });
    expect(await ids()).toEqual(['waits', 'failed', 'j4']);
    expect((await ledger.count()).told).toBe(1);
    expect(await prune()).toMatchObject({ jobs: 0, more: false });
  });

  it('keeps what jobs used that went, by site, owner and campaign, each once, through a crash as well', async () => {
    await finish(1, 3);
    await ledger.apply([accept('other', { campaign: 'b "\\ \u0000 Jöb 🎲' }), lease('a', 'other', 100)]);
    await ledger.apply([report('a', 'other', 1, 101), verified('other', 1), finalised('other', 1)]);
    await ledger.apply([told('other', 'ok', '', 1_000), cancel('other')]);
    await ledger.apply([{ kind: 'seen', agent: 'a', start: 's1', seen: [{ job: 'other', attempt: 1 }] }]);
    expect(await ledger.accounts('', 10)).toEqual([]);
    const { wallSeconds, cpuSeconds } = (await ledger.job('j1'))!.job.attempts[0]!.usage!;
    subject.clock.advance(31 * DAY_MS);
    await prune({}, 2);
    await prune({}, 2);
    await prune({}, 2);
    const account = (campaign: string, jobs: number, events: number) => ({
      ...{ site: 'home', owner: expect.any(String), campaign, jobs, events, attempts: jobs },
      ...{ cpuSeconds: jobs * cpuSeconds, wallSeconds: jobs * wallSeconds },
      ...{ lostCpuSeconds: 0, lostWallSeconds: 0 },
    });
    const wanted = [account('b "\\ \u0000 Jöb 🎲', 1, 1_000), account('zpeak', 3, 0)];
    expect(await ledger.accounts('', 10)).toEqual(wanted);
    const [first] = await ledger.accounts('', 1);
    expect(await ledger.accounts(accountKey(first!), 10)).toEqual(wanted.slice(1));
    await ledger.close();
    ledger = await subject.open();
    expect(await prune()).toMatchObject({ jobs: 0 });
    expect(await ledger.accounts('', 10)).toEqual(wanted);
  });

  it('I5 never removes a job whose framework has not answered, or whose files are still to be discarded', async () => {
    await ledger.apply([
      hello('a'),
      accept('j1'),
      lease('a', 'j1', 1),
      cancel('j1'),
      accept('j2'),
      cancel('j2'),
    ]);
    subject.clock.advance(400 * DAY_MS);
    expect(await prune({ jobs: 0 })).toMatchObject({ jobs: 0 });
    await ledger.apply([told('j1'), told('j2')]);
    expect(await prune({ jobs: 0 })).toMatchObject({ jobs: 1 });
    expect(await ids()).toEqual(['j1']);
    await ledger.apply([discarded('j1', 1)]);
    expect(await prune({ jobs: 0 })).toMatchObject({ jobs: 1 });
    expect(await ids()).toEqual([]);
  });

  it('keeps as many ended jobs as it is told, the newest, in steps of a bounded size', async () => {
    await finish(1, 7);
    const first = await prune({ jobs: 2 }, 3);
    expect(first).toMatchObject({ jobs: 3, more: true });
    let more: boolean = first.more;
    while (more) ({ more } = await prune({ jobs: 2 }, 3));
    expect(await ids()).toEqual(['j6', 'j7']);
  });

  it('I3 a job that went is never taken again while its id is known, through a restart as well', async () => {
    await finish(1, 1);
    await ledger.apply([accept('j2'), cancel('j2'), told('j2')]);
    subject.clock.advance(31 * DAY_MS);
    await prune();
    await ledger.close();
    ledger = await subject.open();
    expect(await ledger.apply([accept('j1'), accept('j2'), accept('j3')])).toMatchObject([
      { kind: 'pruned', id: 'j1', attempt: 1 },
      { kind: 'pruned', id: 'j2', attempt: 0 },
      { kind: 'accepted' },
    ]);
    expect(await ids()).toEqual(['j3']);
    subject.clock.advance(101 * DAY_MS);
    expect(await prune()).toMatchObject({ tombstones: 2 });
    expect((await ledger.apply([accept('j1')]))[0]).toMatchObject({ kind: 'accepted' });
  });

  it('I2 answers whoever speaks late of a job that went as if it had never been', async () => {
    await finish(1, 1);
    subject.clock.advance(31 * DAY_MS);
    await prune();
    const late = [renew('a', 'j1', 1), report('a', 'j1', 1, 90), lease('a', 'j1', 91)];
    const unknown = [renew('a', 'never', 1), report('a', 'never', 1, 92), lease('a', 'never', 93)];
    const before = await ledger.apply(late);
    expect(before).toEqual(await ledger.apply(unknown));
    expect(before.every((outcome) => outcome.kind === 'refused')).toBe(true);
    expect(
      await ledger.apply([verified('j1', 1), finalised('j1', 1), discarded('j1', 1), told('j1')]),
    ).toEqual(Array.from({ length: 4 }, () => ({ kind: 'unchanged' })));
  });

  it('forgets agents that hold nothing and were not heard of, never those it must keep out', async () => {
    await ledger.apply([hello('gone'), hello('holds'), hello('revoked'), hello('here'), accept('j1')]);
    await ledger.apply([lease('holds', 'j1', 1), { kind: 'revoke', agent: 'revoked', reason: 'stolen' }]);
    subject.clock.advance(60 * DAY_MS);
    await ledger.apply([hello('here')]);
    subject.clock.advance(40 * DAY_MS);
    const { agents, lapsed } = await prune();
    expect([agents, [...lapsed].sort()]).toEqual([0, ['gone', 'here', 'holds']]);
    await ledger.apply(lapsed.map((agent) => ({ kind: 'lapse', agent })));
    await ledger.apply([hello('here')]);
    subject.clock.advance(80 * DAY_MS);
    expect(await prune()).toMatchObject({ agents: 0 });
    subject.clock.advance(2 * DAY_MS);
    expect(await prune()).toMatchObject({ agents: 1 });
    expect(await ledger.agent('gone')).toBeUndefined();
    for (const agent of ['holds', 'revoked', 'here']) expect(await ledger.agent(agent)).toBeDefined();
    expect((await ledger.apply([hello('gone')]))[0]).toMatchObject({ kind: 'welcome' });
  });

  it('I9 counts the agents of an owner: none enrols beyond the bound, however many try at once', async () => {
    const enrol = (agent: string, agentsPerOwner = 3): Command => ({
      ...{ kind: 'enrol', agent, owner: 'volunteer', site: 'home', tier: 'untrusted', agentsPerOwner },
    });
    const tries = Array.from({ length: 20 }, (_, at) => ledger.apply([enrol(`a${at}`)]));
    const outcomes = (await Promise.all(tries)).flat();
    const enrolled = outcomes.flatMap((outcome) => (outcome.kind === 'noted' ? [outcome.agent.id] : []));
    expect(enrolled).toHaveLength(3);
    expect(outcomes.filter(({ kind }) => kind === 'refused')).toEqual(
      Array.from({ length: 17 }, () => ({ kind: 'refused', code: 'TOO_MANY_AGENTS', retryAfterMs: 0 })),
    );
    expect(await ledger.owner('volunteer')).toMatchObject({ agents: 3 });
    const [first = '', second = '', third = ''] = enrolled;
    // Who has a place has it still, by whatever way it comes, and who is revoked has none.
    expect(
      (await ledger.apply([enrol(first), hello(first, 's1', 'volunteer')])).map(({ kind }) => kind),
    ).toEqual(['noted', 'welcome']);
    await ledger.apply([{ kind: 'revoke', agent: first, reason: 'gone' }]);
    const [again, next, beyond] = await ledger.apply([enrol(first), enrol('next'), enrol('beyond')]);
    expect([again, next?.kind, beyond]).toMatchObject([
      { code: 'REVOKED' },
      'noted',
      { code: 'TOO_MANY_AGENTS' },
    ]);
    // Of those that are not heard of any more the places are free, but for one in quarantine.
    for (const start of ['s1', 's2', 's1', 's2', 's1', 's2', 's1'])
      await ledger.apply([hello(third, start, 'volunteer')]);
    expect((await ledger.agent(third))?.status).toBe('quarantined');
    subject.clock.advance(8 * DAY_MS);
    await ledger.apply([enrol('next')]);
    subject.clock.advance(2 * DAY_MS);
    const { lapsed } = await prune();
    expect(lapsed).toEqual([second]);
    await ledger.apply([...lapsed, third].map((agent) => ({ kind: 'lapse', agent })));
    expect(await ledger.owner('volunteer')).toMatchObject({ agents: 2 });
    const last = await ledger.apply([enrol('beyond'), enrol(second), hello(second, 's1', 'volunteer')]);
    expect(last).toMatchObject([{ kind: 'noted' }, { code: 'TOO_MANY_AGENTS' }, { kind: 'welcome' }]);
    expect(await ledger.owner('volunteer')).toMatchObject({ agents: 4 });
  });

  it('copies itself as of one moment, and goes on; where it lies in no file it says so', async () => {
    await finish(1, 2);
    await ledger.apply([accept('waits')]);
    const told = await ledger.list({ kind: 'all' }, '', 10);
    const { copy } = subject;
    if (copy === undefined) {
      await expect(ledger.snapshot('/nowhere', () => undefined)).rejects.toMatchObject({
        code: 'UNSUPPORTED',
      });
    } else {
      await ledger.snapshot(copy.path, () => undefined);
      await ledger.apply([accept('later')]);
      const copied = await copy.open();
      expect(await copied.list({ kind: 'all' }, '', 10)).toEqual(told);
      expect(await copied.agents('', 10)).toMatchObject({ agents: [{ id: 'a' }] });
      await copied.close();
    }
    expect((await ledger.apply([accept('after')]))[0]).toMatchObject({ kind: 'accepted' });
  });

  it('keeps the newest audit records', async () => {
    await finish(1, 5);
    expect((await prune({ auditRecords: 4 })).auditRecords).toBeGreaterThan(4);
    expect((await prune({ auditRecords: 4 })).auditRecords).toBe(0);
  });
}
