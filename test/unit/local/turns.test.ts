import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { indexJobs } from '../../../adapters/jobs/memory-index.ts';
import { createTurnsByQueue } from '../../../adapters/jobs/local/queue-turns.ts';
import { Turns, type TurnWeights } from '../../../adapters/jobs/turns.ts';

interface Job {
  readonly owner: string;
  readonly campaign: string;
  readonly priority: number;
}

const job: fc.Arbitrary<Job> = fc.record({
  owner: fc.constantFrom('ann', 'bob', 'cleo'),
  campaign: fc.constantFrom('first', 'second', 'third'),
  priority: fc.constantFrom(0, 5),
});
const weight = fc.integer({ min: 1, max: 4 });
const weights = fc.record({
  owners: fc.record({ ann: weight, bob: weight }),
  campaigns: fc.record({ first: weight }),
});

/** The order in which all of them are handed out. */
function handedOut(jobs: readonly Job[], given: TurnWeights = {}): readonly Job[] {
  const turns = new Turns(given);
  const index = indexJobs(jobs, (one) => one);
  const handed: Job[] = [];
  for (let next = turns.next(index); next !== undefined; next = turns.next(index)) {
    turns.had(next);
    index.drop(next.job);
    handed.push(next.job);
  }
  return handed;
}

/** Where a job may be at the latest: its owner's round, for each job of its owner that may go before it. */
function latest(one: Job, jobs: readonly Job[], { owners = {}, campaigns = {} }: TurnWeights): number {
  const names = new Set(jobs.map((other) => other.owner));
  const round = [...names].reduce((sum, name) => sum + (owners[name] ?? 1), 0);
  const ofOwner = jobs.filter((other) => other.owner === one.owner);
  const higher = ofOwner.filter((other) => other.priority > one.priority).length;
  const equals = ofOwner.filter((other) => other.priority === one.priority);
  const before = equals.filter((other) => other.campaign === one.campaign).indexOf(one);
  const mine = new Set(equals.map((other) => other.campaign));
  const turn = [...mine].reduce((sum, name) => sum + (campaigns[name] ?? 1), 0);
  return round * (higher + (before + 1) * turn);
}

describe('turns of owners and campaigns', () => {
  it('hand out every job once and within the bound', () => {
    fc.assert(
      fc.property(fc.array(job, { maxLength: 60 }), weights, (jobs, given) => {
        const handed = handedOut(jobs, given);
        expect(new Set(handed)).toEqual(new Set(jobs));
        expect(handed).toHaveLength(jobs.length);
        for (const [at, one] of handed.entries()) expect(at).toBeLessThan(latest(one, jobs, given));
      }),
    );
  });

  it('give an owner of weight 3 three jobs in a row, and no more while others wait', () => {
    const of = (owner: string) => Array.from({ length: 6 }, () => ({ owner, campaign: 'one', priority: 0 }));
    const handed = handedOut([...of('ann'), ...of('bob')], { owners: { ann: 3 } });
    const owners = handed.slice(0, 8).map(({ owner }) => owner);
    expect(owners).toEqual(['ann', 'ann', 'ann', 'bob', 'ann', 'ann', 'ann', 'bob']);
  });

  it('I9 forget no more than they must: with very many owners everybody still has a turn', () => {
    const owners = Array.from({ length: 16_500 }, (_, index) => `o${String(index).padStart(6, '0')}`);
    const turns = new Turns();
    let at = 0;
    const index = {
      ownerAfter: () => owners[at % owners.length],
      topPriority: () => 0,
      campaignAfter: (_owner: string, _priority: number, after: string) => (after === '' ? 'a' : undefined),
      oldest: (owner: string) => ({ owner }),
    };
    const seen = new Set<string>();
    for (; at < 2 * owners.length; at += 1) {
      const next = turns.next(index)!;
      seen.add(next.owner);
      turns.had(next);
    }
    expect(seen.size).toBe(owners.length);
  });

  it('refuse weights that are none, by name', () => {
    for (const bad of [0, -1, 1.5, 1001])
      expect(() => createTurnsByQueue({ main: { owners: { ann: bad } } })).toThrow(/turns.main.owners.ann/);
    expect(createTurnsByQueue({ main: { campaigns: { one: 1000 } } })('main')).toBeInstanceOf(Turns);
  });
});
