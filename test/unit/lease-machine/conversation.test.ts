import { describe, expect, it } from 'vitest';
import type { Command } from '../../../broker/core/command.ts';
import { duties } from '../../../broker/core/duties.ts';
import {
  abort,
  accept,
  cancel,
  createWorld,
  discarded,
  expire,
  FILE,
  finalised,
  grace,
  hello,
  lease,
  leasedWorld,
  LIMITS,
  mismatch,
  newJob,
  release,
  renew,
  report,
  TERMS,
  told,
  verified,
  type World,
  worldWith,
} from './world.ts';

const FAILS = { exit: { kind: 'exited', code: 3 } } as const;

/** What the agent hears, in one word. */
function answer(world: World, command: Parameters<World['do']>[0]): string {
  const { outcome } = world.do(command);
  return outcome.kind === 'refused' ? outcome.code : outcome.kind;
}

describe('one job from its adapter to the framework', () => {
  it('goes through the six steps, each state leaving exactly its duty behind', () => {
    const world = worldWith('a');
    expect(duties(world.job('j1'))).toEqual([]);
    expect(answer(world, lease('a', 'j1', 1))).toBe('leased');
    expect(answer(world, renew('a', 'j1', 1))).toBe('renewed');
    expect(answer(world, report('a', 'j1', 1, 2))).toBe('reported');
    expect(duties(world.job('j1'))).toEqual([{ kind: 'verify', attempt: 1 }]);
    expect(answer(world, verified('j1', 1))).toBe('changed');
    expect(duties(world.job('j1'))).toEqual([{ kind: 'finalise', attempt: 1 }]);
    expect(answer(world, finalised('j1', 1))).toBe('changed');
    expect(duties(world.job('j1'))).toEqual([{ kind: 'tell' }]);
    expect(answer(world, told('j1'))).toBe('told');
    expect(duties(world.job('j1'))).toEqual([]);
    expect(world.job('j1').state).toBe('told');
    expect(world.audit.map((record) => record.kind)).toEqual([
      'lease',
      'report',
      'verdict',
      'commit',
      'final',
    ]);
  });

  it('storage that has spoken before the report is taken makes two steps one', () => {
    const world = leasedWorld();
    const verification = { kind: 'verified', files: [FILE] } as const;
    const { outcome } = world.do(report('a', 'j1', 1, 2, { verification }));
    expect(outcome).toMatchObject({ kind: 'reported', job: { state: 'committing' } });
    expect(duties(world.job('j1'))).toEqual([{ kind: 'finalise', attempt: 1 }]);
    expect(world.audit.map((record) => record.kind)).toEqual(['lease', 'report', 'verdict']);
    expect(answer(world, verified('j1', 1))).toBe('unchanged');
    expect(answer(world, finalised('j1', 1))).toBe('changed');
    expect(world.faults()).toEqual([]);
  });

  it('T-24 what else storage computed of a file stays with the result', () => {
    const world = leasedWorld();
    const found = [{ ...FILE, adler32: '079a01d2', md5: 'ab'.repeat(16) }];
    world.do(report('a', 'j1', 1, 2, { verification: { kind: 'verified', files: found } }));
    answer(world, finalised('j1', 1));
    expect(world.job('j1').attempts.at(-1)).toMatchObject({ state: 'committed', manifest: found });
  });

  it('V-5 storage that has spoken against the report ends the attempt with it, and the agent hears why', () => {
    const world = leasedWorld();
    const verification = { kind: 'mismatch', reason: 'digest differs' } as const;
    const { outcome } = world.do(report('a', 'j1', 1, 2, { verification }));
    expect(outcome).toMatchObject({ kind: 'reported', job: { state: 'queued' } });
    expect(world.attempt('j1', 1)).toMatchObject({ state: 'void', discard: true, reason: 'digest differs' });
    expect(world.agent('a').verdicts).toMatchObject([{ verdict: 'refused', reason: 'digest differs' }]);
    expect(world.faults()).toEqual([]);
  });

  it('V-16 what storage said counts for a report that is taken, and for no other', () => {
    const world = leasedWorld();
    world.do(report('a', 'j1', 1, 2));
    const other = [{ ...FILE, sha256: 'cd'.repeat(32) }];
    const verification = { kind: 'verified', files: other } as const;
    const again = world.do(report('a', 'j1', 1, 3, { manifest: other, verification }));
    expect(again.isChanged).toBe(false);
    expect(world.job('j1').state).toBe('reported');
    const fails = world.do(report('a', 'j1', 1, 2, { ...FAILS, verification }));
    expect(fails.isChanged).toBe(false);
  });

  it('T-25 the events of a result are those of the first answer that it counts, and of no other', () => {
    const world = leasedWorld();
    world.do(report('a', 'j1', 1, 2));
    world.do(told('j1', 'ok', '', 9));
    world.do(verified('j1', 1));
    world.do(finalised('j1', 1));
    expect(world.job('j1').events).toBe(0);
    expect(answer(world, told('j1', 'ok', '', 1_000))).toBe('told');
    for (const again of [told('j1', 'ok', '', 1_000), told('j1', 'ok', '', 7), told('j1', 'refused', 'no')])
      expect(answer(world, again)).toBe('unchanged');
    expect(world.job('j1')).toMatchObject({ state: 'told', events: 1_000 });
    expect(world.faults()).toEqual([]);
  });

  it.each([
    ['refused', (world: World) => (world.do(verified('j1', 1)), world.do(finalised('j1', 1)))],
    ['cancelled', (world: World) => world.do(cancel('j1'))],
  ] as const)('T-25 there are none where the result does not count: %s', (_what, end) => {
    const world = leasedWorld();
    world.do(report('a', 'j1', 1, 2));
    end(world);
    expect(answer(world, told('j1', 'refused', 'no', 1_000))).toBe('told');
    expect(world.job('j1').events).toBe(0);
  });

  it('the agent hears of the commit until it names the verdict as seen', () => {
    const world = leasedWorld();
    world.do(report('a', 'j1', 1, 2));
    world.do(verified('j1', 1));
    world.do(finalised('j1', 1));
    const verdict = { job: 'j1', attempt: 1, verdict: 'committed', reason: '' };
    expect(world.agent('a').verdicts).toEqual([verdict]);
    const early = { kind: 'seen', agent: 'a', start: 's0', seen: [{ job: 'j1', attempt: 1 }] } as const;
    expect(answer(world, early)).toBe('SUPERSEDED');
    expect(answer(world, { kind: 'seen', agent: 'a', start: 's1', seen: [{ job: 'j2', attempt: 1 }] })).toBe(
      'unchanged',
    );
    expect(answer(world, { kind: 'seen', agent: 'a', start: 's1', seen: [{ job: 'j1', attempt: 1 }] })).toBe(
      'noted',
    );
    expect(world.agent('a').verdicts).toEqual([]);
  });

  it('a second copy of a job is known and changes nothing', () => {
    const world = leasedWorld();
    const step = world.do(accept('j1', { priority: 9 }));
    expect(step.outcome.kind).toBe('known');
    expect(step.isChanged).toBe(false);
  });

  it('the leased answer carries the description', () => {
    const world = worldWith('a');
    expect(world.do(lease('a', 'j1', 1)).outcome).toMatchObject({
      attempt: 1,
      description: newJob('j1').description,
    });
  });

  it('a framework that refuses the result ends the job with its reason', () => {
    const world = leasedWorld();
    world.do(report('a', 'j1', 1, 2));
    world.do(verified('j1', 1));
    world.do(finalised('j1', 1));
    world.do(told('j1', 'refused', 'job was killed in between'));
    expect(world.job('j1')).toMatchObject({
      state: 'refused-by-framework',
      told: true,
      reason: 'job was killed in between',
    });
  });
});

describe('counters and slots', () => {
  it('the same counter gets the same answer, a lower one is stale, and neither changes anything', () => {
    const world = leasedWorld();
    world.do(accept('j2'));
    const again = world.do(lease('a', 'j2', 1));
    expect(again.outcome).toMatchObject({ kind: 'repeat', reply: { kind: 'leased', job: 'j1', attempt: 1 } });
    expect(again.isChanged).toBe(false);
    expect(answer(world, lease('a', 'j2', 0))).toBe('STALE_COUNTER');
    world.do(report('a', 'j1', 1, 2));
    expect(answer(world, lease('a', 'j2', 1))).toBe('STALE_COUNTER');
    expect(world.job('j2').state).toBe('queued');
  });

  it('a report and the next request share a counter; the repeat of both brings both answers back', () => {
    const world = leasedWorld();
    world.do(accept('j2'));
    world.do(report('a', 'j1', 1, 2));
    expect(answer(world, lease('a', 'j2', 2))).toBe('leased');
    const reply = { kind: 'reported', job: 'j1', attempt: 1, next: { job: 'j2', attempt: 1 } };
    expect(world.do(report('a', 'j1', 1, 2)).outcome).toMatchObject({ kind: 'repeat', reply });
    expect(world.do(lease('a', 'j2', 2)).outcome).toMatchObject({ kind: 'repeat', reply });
  });

  it('a refusal stores nothing, so the same counter may succeed later', () => {
    const world = worldWith('a');
    expect(answer(world, lease('a', 'missing', 1))).toBe('NOT_FOUND');
    expect(answer(world, lease('a', 'j1', 1))).toBe('leased');
  });

  it.each([
    ['slot 0', { slot: 0 }],
    ['slot 65', { slot: 65 }],
    ['a fraction of a slot', { slot: 1.5 }],
    ['no counter', { counter: Number.NaN }],
    ['an endless counter', { counter: Infinity }],
  ])('I9 %s is refused', (_name, given) => {
    expect(answer(worldWith('a'), lease('a', 'j1', 1, given))).toBe('STALE_COUNTER');
  });

  it('slots count by themselves', () => {
    const world = leasedWorld();
    world.do(accept('j2'));
    expect(answer(world, lease('a', 'j2', 1, { slot: 2 }))).toBe('leased');
  });

  it('an empty job only asks whether the agent may ask', () => {
    const world = worldWith('a');
    expect(answer(world, lease('a', '', 1))).toBe('unchanged');
    expect(answer(world, lease('b', '', 1))).toBe('NOT_FOUND');
  });
});

describe('I2 only the holder of the live attempt', () => {
  const attacks: readonly [string, (world: World) => string][] = [
    ['another agent renews it', (world) => answer(world, renew('b', 'j1', 1))],
    ['another agent reports on it', (world) => answer(world, report('b', 'j1', 1, 1))],
    ['another agent releases it', (world) => answer(world, release('b', 'j1', 1, 1))],
    ['the holder names an attempt not yet made', (world) => answer(world, report('a', 'j1', 2, 2))],
    ['the holder names attempt 0', (world) => answer(world, renew('a', 'j1', 0))],
    ['the holder names a job that is not', (world) => answer(world, renew('a', 'j9', 1))],
  ];
  it.each(attacks)('%s: refused, nothing changed', (_name, attack) => {
    const world = leasedWorld('b');
    const before = world.job('j1');
    expect(attack(world)).toBe('ATTEMPT_NOT_LIVE');
    expect(world.job('j1')).toBe(before);
  });

  it('after the deadline the lease is void even where no sweep has run', () => {
    const world = leasedWorld();
    world.advance(TERMS.firstRenewMs + 1);
    expect(answer(world, renew('a', 'j1', 1))).toBe('ATTEMPT_NOT_LIVE');
    expect(answer(world, report('a', 'j1', 1, 2))).toBe('ATTEMPT_NOT_LIVE');
    expect(answer(world, release('a', 'j1', 1, 2))).toBe('ATTEMPT_NOT_LIVE');
  });

  it('the deadline itself is still in time', () => {
    const world = leasedWorld();
    world.advance(TERMS.firstRenewMs);
    expect(answer(world, renew('a', 'j1', 1))).toBe('renewed');
    world.advance(TERMS.leaseMs);
    expect(answer(world, report('a', 'j1', 1, 2))).toBe('reported');
  });

  it('an agent stopped for longer than its lease finds its number fenced off by the next attempt', () => {
    const world = leasedWorld('b');
    world.advance(TERMS.firstRenewMs + 1);
    world.do(expire('j1'));
    expect(world.do(lease('b', 'j1', 1)).outcome).toMatchObject({ kind: 'leased', attempt: 2 });
    expect(answer(world, report('a', 'j1', 1, 2))).toBe('ATTEMPT_NOT_LIVE');
    expect(answer(world, report('a', 'j1', 2, 2))).toBe('ATTEMPT_NOT_LIVE');
    expect(world.job('j1').state).toBe('leased');
  });

  it('progress, usage and log tail are kept within bounds whatever the agent says', () => {
    const world = leasedWorld();
    world.do(renew('a', 'j1', 1, { progress: 7, logTail: `x${'y'.repeat(10_000)}` }));
    expect(world.attempt('j1', 1).progress).toBe(1);
    expect(world.attempt('j1', 1).logTail).toBe('y'.repeat(4096));
    world.do(renew('a', 'j1', 1, { progress: Number.NaN, usage: null }));
    expect(world.attempt('j1', 1)).toMatchObject({ progress: 0, usage: { wallSeconds: 1 } });
  });
});

describe('I3 one result, for ever', () => {
  it('a late, repeated or foreign report after the commit changes nothing', () => {
    const world = leasedWorld('b');
    world.do(report('a', 'j1', 1, 2));
    world.do(verified('j1', 1));
    world.do(finalised('j1', 1));
    const committed = world.job('j1');
    expect(answer(world, report('a', 'j1', 1, 2))).toBe('repeat');
    expect(answer(world, report('a', 'j1', 1, 3, FAILS))).toBe('reported');
    expect(answer(world, report('b', 'j1', 1, 1))).toBe('ATTEMPT_NOT_LIVE');
    expect(answer(world, verified('j1', 1))).toBe('unchanged');
    expect(answer(world, mismatch('j1', 1))).toBe('unchanged');
    expect(answer(world, finalised('j1', 1))).toBe('unchanged');
    expect(answer(world, discarded('j1', 1))).toBe('unchanged');
    expect(answer(world, cancel('j1'))).toBe('unchanged');
    expect(answer(world, abort('j1', 1))).toBe('unchanged');
    expect(world.job('j1')).toBe(committed);
  });

  it('an attempt that was refused cannot be finalised', () => {
    const world = leasedWorld();
    world.do(report('a', 'j1', 1, 2));
    world.do(mismatch('j1', 1));
    expect(answer(world, finalised('j1', 1))).toBe('unchanged');
    expect(world.job('j1').state).toBe('queued');
  });

  it.each([
    ['a file missing in storage', [], 'events.csv is not in storage as reported'],
    ['another size', [{ ...FILE, size: 4 }], 'events.csv is not in storage as reported'],
    ['another digest', [{ ...FILE, sha256: 'cd'.repeat(32) }], 'events.csv is not in storage as reported'],
    [
      'a file nobody reported',
      [FILE, { ...FILE, name: 'extra' }],
      'extra is in storage and was not reported',
    ],
  ])('%s: refused, counted against the machine, queued again', (_name, files, reason) => {
    const world = leasedWorld();
    world.do(report('a', 'j1', 1, 2));
    const { outcome } = world.do(verified('j1', 1, files));
    expect(outcome).toMatchObject({ kind: 'changed', verdict: { agent: 'a', verdict: 'refused', reason } });
    expect(world.job('j1')).toMatchObject({ state: 'queued', losses: 1, failures: 0 });
    expect(duties(world.job('j1'))).toEqual([{ kind: 'discard', attempt: 1 }]);
  });

  it('a manifest that names one file twice is refused', () => {
    const world = leasedWorld();
    world.do(report('a', 'j1', 1, 2, { manifest: [FILE, FILE] }));
    world.do(verified('j1', 1));
    expect(world.attempt('j1', 1).reason).toBe('a file is named twice in the manifest');
  });
});

describe('abort of a commit', () => {
  function committing(): World {
    const world = leasedWorld();
    world.do(report('a', 'j1', 1, 2));
    world.do(verified('j1', 1));
    return world;
  }

  it('waits for the durable discarded(k) before anybody else may try', () => {
    const world = committing();
    world.do(abort('j1', 1));
    expect(world.job('j1').state).toBe('committing');
    expect(duties(world.job('j1'))).toEqual([{ kind: 'discard', attempt: 1 }]);
    const { outcome } = world.do(discarded('j1', 1));
    expect(outcome).toMatchObject({ verdict: { agent: 'a', verdict: 'refused', reason: 'storage refuses' } });
    expect(world.job('j1')).toMatchObject({ state: 'queued', losses: 1 });
    expect(duties(world.job('j1'))).toEqual([]);
  });

  it('loses to a finalised that came first', () => {
    const world = committing();
    world.do(abort('j1', 1));
    world.do(finalised('j1', 1));
    expect(world.job('j1').state).toBe('committed');
    expect(answer(world, discarded('j1', 1))).toBe('unchanged');
    expect(duties(world.job('j1'))).toEqual([{ kind: 'tell' }]);
  });

  it('a cancel asked meanwhile decides what follows', () => {
    const world = committing();
    expect(answer(world, cancel('j1'))).toBe('unchanged');
    world.do(abort('j1', 1));
    expect(answer(world, cancel('j1'))).toBe('changed');
    world.do(discarded('j1', 1));
    expect(world.job('j1')).toMatchObject({ state: 'cancelled', reason: 'no longer wanted' });
  });

  it('storage that gives up by itself frees the job as well', () => {
    const world = committing();
    world.do(discarded('j1', 1));
    expect(world.job('j1').state).toBe('queued');
    expect(world.attempt('j1', 1).reason).toBe('storage gave the result up');
  });
});

describe('I4 failures, losses and what is kept of them', () => {
  it('a payload that fails is tried again until its retries are used up, each reason kept', () => {
    const world = worldWith('a', 'b');
    for (const attempt of [1, 2, 3]) {
      const agent = attempt === 2 ? 'b' : 'a';
      world.do(lease(agent, 'j1', attempt * 2));
      expect(answer(world, report(agent, 'j1', attempt, attempt * 2 + 1, FAILS))).toBe('reported');
    }
    expect(world.job('j1')).toMatchObject({
      state: 'failed',
      failures: 3,
      reason: 'payload exited with code 3',
    });
    expect(world.job('j1').attempts.map(({ reason }) => reason)).toEqual(
      Array(3).fill('payload exited with code 3'),
    );
    expect(duties(world.job('j1'))).toEqual([
      ...[1, 2, 3].map((attempt) => ({ kind: 'discard', attempt })),
      { kind: 'tell' },
    ]);
  });

  it.each([
    [{ kind: 'signalled', signal: 'SIGSEGV' }, 'payload ended by signal SIGSEGV'],
    [{ kind: 'limit', limit: 'memory' }, 'payload went over its memory limit'],
    [{ kind: 'failed', reason: 'no\u001b[31m input' }, 'payload could not run: no [31m input'],
  ] as const)('%j is kept in plain words', (exit, reason) => {
    const world = leasedWorld();
    world.do(report('a', 'j1', 1, 2, { exit }));
    expect(world.attempt('j1', 1).reason).toBe(reason);
    expect(world.agent('a').verdicts[0]).toMatchObject({ verdict: 'refused', attempt: 1 });
  });

  it('a machine that vanishes costs a loss; after maxLost the job has failed with the reason', () => {
    const world = worldWith('a');
    for (const attempt of [1, 2, 3, 4]) {
      world.do(lease('a', 'j1', attempt));
      expect(answer(world, expire('j1'))).toBe('unchanged');
      world.advance(TERMS.firstRenewMs + 1);
      expect(answer(world, expire('j1'))).toBe('changed');
      world.advance(LIMITS.maxCoolDownMs);
    }
    expect(world.job('j1')).toMatchObject({ state: 'failed', losses: 4 });
    expect(world.job('j1').reason).toBe('lost 4 times, last: not renewed in time after the lease began');
    expect(world.owner('owner-a')?.live).toBe(0);
  });

  it('draining is free three times, any other release counts as lost', () => {
    const world = worldWith('a');
    for (const attempt of [1, 2, 3, 4]) {
      world.do(lease('a', 'j1', attempt * 2));
      expect(answer(world, release('a', 'j1', attempt, attempt * 2 + 1))).toBe('released');
    }
    expect(world.job('j1')).toMatchObject({ state: 'queued', losses: 1 });
    world.do(lease('a', 'j1', 20));
    world.do(release('a', 'j1', 5, 21, 'slot lost'));
    expect(world.job('j1')).toMatchObject({ losses: 2 });
    expect(world.attempt('j1', 5).reason).toBe('released: slot lost');
  });

  it('after an outage every live lease has a whole lease from now', () => {
    const world = leasedWorld();
    world.advance(TERMS.firstRenewMs - 1);
    world.do(grace('j1'));
    world.advance(TERMS.leaseMs);
    expect(answer(world, expire('j1'))).toBe('unchanged');
    expect(answer(world, renew('a', 'j1', 1))).toBe('renewed');
  });

  it('an agent that takes jobs and vanishes, again and again, cools down before it uses up their tries', () => {
    const world = createWorld();
    world.do(hello('a'));
    world.do(accept('j1', { maxLost: 100 }));
    for (let attempt = 1; attempt <= LIMITS.quickFailuresAllowed + 1; attempt++) {
      world.do(lease('a', 'j1', attempt));
      world.advance(TERMS.firstRenewMs + 1);
      world.do(expire('j1'));
    }
    expect(world.do(lease('a', 'j1', 90)).outcome).toMatchObject({ kind: 'refused', code: 'COOLING_DOWN' });
    world.do(hello('b'));
    expect(answer(world, lease('b', 'j1', 1))).toBe('leased');
  });

  it('I9 a job lost for ever keeps only its last attempts, first dropping those already discarded', () => {
    const world = createWorld();
    world.do(hello('a'));
    world.do(accept('j1', { maxLost: 100 }));
    for (let attempt = 1; attempt <= 40; attempt++) {
      world.do(lease('a', 'j1', attempt));
      world.advance(TERMS.firstRenewMs + 1);
      world.do(expire('j1'));
      if (attempt > 1 && attempt < 6) world.do(discarded('j1', attempt));
      world.advance(LIMITS.maxCoolDownMs);
    }
    const numbers = world.job('j1').attempts.map(({ number }) => number);
    expect(numbers).toHaveLength(32);
    expect(numbers.slice(0, 2)).toEqual([9, 10]);
    expect(world.job('j1').lastAttempt).toBe(40);
  });
});

describe('cancel', () => {
  it('ends a queued job at once, and the framework hears of it', () => {
    const world = worldWith('a');
    world.do(cancel('j1'));
    expect(world.job('j1').state).toBe('cancelled');
    expect(duties(world.job('j1'))).toEqual([{ kind: 'tell' }]);
    world.do(told('j1'));
    expect(duties(world.job('j1'))).toEqual([]);
    expect(answer(world, lease('a', 'j1', 1))).toBe('NOT_QUEUED');
  });

  it('ends a leased job at once; its holder is ordered to stop at the next renewal', () => {
    const world = leasedWorld('b');
    world.do(cancel('j1'));
    expect(world.job('j1').state).toBe('cancelled');
    expect(world.do(renew('a', 'j1', 1)).outcome).toMatchObject({
      kind: 'renewed',
      leaseMs: 0,
      order: 'cancel',
    });
    expect(answer(world, renew('b', 'j1', 1))).toBe('ATTEMPT_NOT_LIVE');
    expect(answer(world, report('a', 'j1', 1, 2))).toBe('ATTEMPT_NOT_LIVE');
    expect(world.agent('a').held).toEqual([]);
  });

  it('ends a reported job, tells the agent and cleans up', () => {
    const world = leasedWorld();
    world.do(report('a', 'j1', 1, 2));
    expect(world.do(cancel('j1')).outcome).toMatchObject({ verdict: { agent: 'a', verdict: 'refused' } });
    expect(duties(world.job('j1'))).toEqual([{ kind: 'discard', attempt: 1 }, { kind: 'tell' }]);
    expect(answer(world, verified('j1', 1))).toBe('unchanged');
  });
});

describe('limits of agents and owners', () => {
  function leaseAll(world: World, agent: string, jobs: readonly string[]): readonly string[] {
    return jobs.map((job, at) => {
      world.do(accept(job));
      return answer(world, lease(agent, job, at + 1));
    });
  }

  it('an agent gets no more live attempts than it may hold', () => {
    const world = worldWith('a');
    expect(leaseAll(world, 'a', ['k1', 'k2', 'k3', 'k4']).at(-1)).toBe('TOO_MANY_ATTEMPTS');
    expect(world.owner('owner-a')?.live).toBe(3);
  });

  it('an owner with many agents gets no more than one owner may hold', () => {
    const world = createWorld();
    for (const agent of ['a', 'b']) world.do(hello(agent, 's1', 'volunteer'));
    expect(leaseAll(world, 'a', ['k1', 'k2', 'k3'])).toEqual(['leased', 'leased', 'leased']);
    expect(leaseAll(world, 'b', ['k4', 'k5'])).toEqual(['leased', 'TOO_MANY_ATTEMPTS']);
  });

  it('results nobody has judged yet count too', () => {
    const world = worldWith('a');
    leaseAll(world, 'a', ['k1', 'k2', 'k3']);
    for (const [at, job] of ['k1', 'k2', 'k3'].entries()) world.do(report('a', job, 1, 10 + at));
    expect(answer(world, lease('a', 'j1', 20))).toBe('TOO_MANY_ATTEMPTS');
    world.do(mismatch('k1', 1));
    expect(answer(world, lease('a', 'j1', 20))).toBe('leased');
  });

  it('I9 an agent that never names verdicts as seen gets no lease at 64, and one once it does', () => {
    const world = worldWith('a');
    for (let at = 1; at <= 64; at++) {
      world.do(accept(`k${at}`, { retries: 0 }));
      world.do(lease('a', `k${at}`, at * 2));
      world.advance(LIMITS.quickFailureMs);
      world.do(report('a', `k${at}`, 1, at * 2 + 1, FAILS));
    }
    expect(world.agent('a').verdicts).toHaveLength(64);
    expect(answer(world, lease('a', 'j1', 200))).toBe('TOO_MANY_ATTEMPTS');
    expect(answer(world, lease('a', 'j1', 200, { seen: [{ job: 'k1', attempt: 1 }] }))).toBe('leased');
  });

  it('an agent that fails fast cools down, longer each time, and a commit clears its record', () => {
    const world = createWorld();
    world.do(hello('a'));
    world.do(accept('j1', { retries: 50 }));
    let counter = 1;
    const failOnce = (attempt: number): void => {
      world.do(lease('a', 'j1', counter++));
      world.do(report('a', 'j1', attempt, counter++, FAILS));
    };
    failOnce(1);
    failOnce(2);
    expect(answer(world, lease('a', '', 99))).toBe('unchanged');
    failOnce(3);
    expect(world.do(lease('a', 'j1', counter)).outcome).toEqual({
      kind: 'refused',
      code: 'COOLING_DOWN',
      retryAfterMs: 60_000,
    });
    world.advance(60_000);
    failOnce(4);
    expect(world.do(lease('a', 'j1', counter)).outcome).toMatchObject({ retryAfterMs: 120_000 });
    world.advance(240_000);
    failOnce(5);
    world.advance(240_000);
    failOnce(6);
    expect(world.do(lease('a', 'j1', counter)).outcome).toMatchObject({ retryAfterMs: 240_000 });
    world.advance(240_000);
    world.do(lease('a', 'j1', counter++));
    world.do(report('a', 'j1', 7, counter++));
    world.do(verified('j1', 7));
    world.do(finalised('j1', 7));
    expect(world.agent('a').quickFailures).toBe(0);
  });

  it('a slow failure is no quick one, a wrong digest always is', () => {
    const world = leasedWorld();
    world.advance(LIMITS.quickFailureMs);
    world.do(report('a', 'j1', 1, 2, FAILS));
    expect(world.agent('a').quickFailures).toBe(0);
    world.do(lease('a', 'j1', 3));
    world.do(renew('a', 'j1', 2));
    world.advance(LIMITS.quickFailureMs * 2);
    world.do(report('a', 'j1', 2, 4));
    world.do(mismatch('j1', 2));
    expect(world.agent('a').quickFailures).toBe(1);
  });
});

describe('starts, clones and revocation', () => {
  it('a new start supersedes the old one and goes on with its attempts', () => {
    const world = leasedWorld();
    expect(answer(world, hello('a', 's2'))).toBe('welcome');
    expect(answer(world, renew('a', 'j1', 1))).toBe('SUPERSEDED');
    expect(answer(world, renew('a', 'j1', 1, { start: 's2' }))).toBe('renewed');
    expect(answer(world, report('a', 'j1', 1, 2))).toBe('SUPERSEDED');
    expect(answer(world, lease('a', '', 2))).toBe('SUPERSEDED');
  });

  it('a restored snapshot comes back once: what it had not reported is void and queued again', () => {
    const world = leasedWorld();
    world.do(hello('a', 's2'));
    const { outcome } = world.do(hello('a', 's1'));
    expect(outcome).toMatchObject({
      kind: 'welcome',
      voided: [{ job: 'j1', attempt: 1 }],
      jobs: [{ id: 'j1' }],
    });
    expect(world.job('j1')).toMatchObject({ state: 'queued', losses: 1 });
    expect(world.agent('a')).toMatchObject({ status: 'active', held: [], start: 's1' });
    expect(world.owner('owner-a')?.live).toBe(0);
  });

  it('what was reported before the snapshot came back goes its way', () => {
    const world = leasedWorld();
    world.do(report('a', 'j1', 1, 2));
    world.do(hello('a', 's2'));
    expect(world.do(hello('a', 's1')).outcome).toMatchObject({ voided: [] });
    expect(world.job('j1').state).toBe('reported');
  });

  it('two holders of one key are quarantined at the fourth flip within the hour', () => {
    const world = leasedWorld();
    const answers = ['s2', 's1', 's2', 's1', 's2'].map((start) => answer(world, hello('a', start)));
    expect(answers).toEqual(['welcome', 'welcome', 'welcome', 'welcome', 'QUARANTINED']);
    expect(world.agent('a').status).toBe('quarantined');
    expect(world.audit.filter(({ kind }) => kind === 'quarantine')).toHaveLength(1);
    for (const start of ['s1', 's2', 's3']) {
      expect(answer(world, hello('a', start))).toBe('QUARANTINED');
      expect(answer(world, lease('a', 'j1', 9, { start }))).toBe('QUARANTINED');
    }
  });

  it('three snapshots in an hour, and more in the next, are borne', () => {
    const world = worldWith('a');
    for (let hour = 0; hour < 4; hour++) {
      for (const start of ['s2', 's1']) expect(answer(world, hello('a', start))).toBe('welcome');
      world.advance(3_600_000);
    }
    expect(world.agent('a').flipsMs.length).toBeLessThan(4);
  });

  it('the same start again changes nothing', () => {
    expect(worldWith('a').do(hello('a')).isChanged).toBe(false);
  });

  it('I9 only eight superseded starts are remembered', () => {
    const world = worldWith('a');
    for (let start = 2; start < 20; start++) world.do(hello('a', `s${start}`));
    expect(world.agent('a').superseded).toHaveLength(8);
  });

  it('a revoked agent loses its live attempts at once and is refused everything', () => {
    const world = leasedWorld();
    const { outcome } = world.do({ kind: 'revoke', agent: 'a', reason: 'stolen' });
    expect(outcome).toMatchObject({ kind: 'revoked', jobs: [{ id: 'j1', state: 'queued' }] });
    expect(world.owner('owner-a')?.live).toBe(0);
    for (const command of [
      hello('a', 's2'),
      lease('a', 'j1', 5),
      renew('a', 'j1', 1),
      report('a', 'j1', 1, 5),
    ])
      expect(answer(world, command)).toBe('REVOKED');
    expect(world.do({ kind: 'revoke', agent: 'a', reason: 'again' }).isChanged).toBe(false);
  });

  it('a draining agent goes on with what it holds and gets nothing new, until that is taken back', () => {
    const world = leasedWorld();
    world.do(accept('j2'));
    world.do({ kind: 'drain', agent: 'a', draining: true });
    expect(world.do(renew('a', 'j1', 1)).outcome).toMatchObject({ kind: 'renewed', order: 'drain' });
    expect(answer(world, lease('a', 'j2', 2))).toBe('DRAINING');
    expect(answer(world, hello('a', 's2'))).toBe('welcome');
    expect(world.agent('a').status).toBe('draining');
    expect(world.do({ kind: 'drain', agent: 'a', draining: true }).isChanged).toBe(false);
    world.do({ kind: 'drain', agent: 'a', draining: false });
    expect(answer(world, { ...lease('a', 'j2', 3), start: 's2' } as Command)).toBe('leased');
  });

  it('an agent that is out, or that nobody knows, cannot be drained back in', () => {
    const world = worldWith('a');
    world.do({ kind: 'revoke', agent: 'a', reason: 'stolen' });
    expect(answer(world, { kind: 'drain', agent: 'a', draining: false })).toBe('REVOKED');
    expect(answer(world, { kind: 'drain', agent: 'b', draining: true })).toBe('NOT_FOUND');
    expect(world.agent('a').status).toBe('revoked');
  });

  it('a key revoked before it was ever seen stays revoked', () => {
    const world = createWorld();
    world.do({ kind: 'revoke', agent: 'a', reason: 'code leaked' });
    expect(answer(world, hello('a'))).toBe('REVOKED');
  });

  it('a banned owner reaches nothing through any of its agents, until the ban is lifted', () => {
    const world = leasedWorld();
    world.do({ kind: 'ban', owner: 'owner-a', banned: true });
    for (const command of [hello('a', 's2'), hello('fresh', 's1', 'owner-a'), renew('a', 'j1', 1)])
      expect(answer(world, command)).toBe('BANNED');
    world.do({ kind: 'ban', owner: 'owner-a', banned: false });
    expect(answer(world, renew('a', 'j1', 1))).toBe('renewed');
  });

  it('a key never changes hands, so a ban cannot be shed by enrolling again', () => {
    const world = worldWith('a');
    expect(answer(world, hello('a', 's2', 'somebody-else'))).toBe('OTHER_OWNER');
    expect(world.agent('a').owner).toBe('owner-a');
  });
});
