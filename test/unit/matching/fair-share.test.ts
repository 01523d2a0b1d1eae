import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Bucket, bucketOf } from '../../../broker/matching/bucket.ts';
import { createHostClasses, type HostClass } from '../../../broker/matching/host-class.ts';
import { Pool } from '../../../broker/matching/pool.ts';
import type { Waiting } from '../../../broker/matching/waiting.ts';
import { createWeights } from '../../../broker/matching/weights.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';

const crypto = createCrypto();
const hostOf = createHostClasses();
const KINDS = [0, 1, 2] as const;

/** Machines, by which kinds of job they may run. */
const hosts: readonly HostClass[] = [[0, 1, 2], [0], [1, 2]].map((kinds) =>
  hostOf(Object.fromEntries(kinds.map((kind) => [`Can${kind}`, true]))),
);
const runs = [[0, 1, 2], [0], [1, 2]];

const buckets = new Map<string, Bucket>();

function bucket(queue: string, kind: number): Bucket {
  const known = buckets.get(`${queue} ${kind}`) ?? newBucket(queue, kind);
  buckets.set(`${queue} ${kind}`, known);
  return known;
}

function newBucket(queue: string, kind: number): Bucket {
  const limits = { wallSeconds: 60, memoryMiB: 100, diskMiB: 10 };
  const requirements = `other.Can${kind}`;
  return bucketOf((data) => crypto.sha256(data), queue, {
    command: 'run',
    arguments: [],
    environment: {},
    inputs: [],
    outputs: [],
    limits,
    requirements,
  });
}

/** One campaign of one owner in one queue, of which there are always jobs. */
interface Group {
  readonly queue: string;
  readonly owner: string;
  readonly campaign: string;
  readonly kind: number;
}

const group: fc.Arbitrary<Group> = fc.record({
  queue: fc.constantFrom('q1', 'q2', 'q3'),
  owner: fc.constantFrom('o1', 'o2', 'o3'),
  campaign: fc.constantFrom('c1', 'c2', 'c3'),
  kind: fc.constantFrom(...KINDS),
});

const weight = fc.integer({ min: 1, max: 7 });
const named = (names: readonly string[]) =>
  fc.record(Object.fromEntries(names.map((name) => [name, weight] as const)));

const shares = fc.record({
  queues: named(['q1', 'q2', 'q3']),
  owners: named(['o1', 'o2', 'o3']),
  campaigns: named(['c1', 'c2', 'c3']),
});
type Shares = { readonly [Level in 'queues' | 'owners' | 'campaigns']: Readonly<Record<string, number>> };

function poolOf({ queues, owners, campaigns }: Shares): Pool {
  const configured = Object.entries(queues).map(([name, own]) => ({
    name,
    share: { weight: own, owners, campaigns },
  }));
  return new Pool(createWeights(configured));
}

const pathOf = ({ queue, owner, campaign }: Pick<Group, 'queue' | 'owner' | 'campaign'>): string =>
  `${queue} ${owner} ${campaign}`;

type Level = Readonly<Record<string, number>>;

/** Turns until a group has had one, by the weights of all of them. */
function turnsOf(own: string, siblings: readonly string[], weights: Level): number {
  const mine = weights[own] ?? 1;
  const others = [...new Set(siblings)].filter((sibling) => sibling !== own);
  const weight = others.reduce((sum, sibling) => sum + (weights[sibling] ?? 1), 0);
  return 1 + others.length + Math.ceil(weight / mine);
}

const standOf = ({ queue, owner, kind }: Group): string => `${queue} ${owner} ${kind}`;

/** The bound that docs/matching.md states: (G + S) C. */
function boundOf(one: Group, groups: readonly Group[], weights: Shares): number {
  const stands = new Set(groups.map(standOf)).size;
  const longest = Math.max(...groups.map((other) => patienceOf(other, groups, weights)));
  const together = groups.filter((other) => standOf(other) === standOf(one));
  const campaigns = together.map((other) => other.campaign);
  return (longest + stands) * turnsOf(one.campaign, campaigns, weights.campaigns);
}

/** G: the turns of queues, times those of owners, times the kinds of job the owner has. */
function patienceOf({ queue, owner }: Group, groups: readonly Group[], weights: Shares): number {
  const inQueue = groups.filter((other) => other.queue === queue);
  const kinds = new Set(inQueue.filter((other) => other.owner === owner).map((other) => other.kind));
  const queues = groups.map((other) => other.queue);
  const owners = inQueue.map((other) => other.owner);
  return turnsOf(queue, queues, weights.queues) * turnsOf(owner, owners, weights.owners) * kinds.size;
}

/** Keeps one job of each group waiting, and counts what machines that could run it were given meanwhile. */
class Race {
  readonly #pool: Pool;
  readonly #groups: readonly Group[];
  readonly #waited = new Map<string, number>();
  readonly #most = new Map<string, number>();
  #jobs = 0;

  constructor(pool: Pool, groups: readonly Group[]) {
    this.#pool = pool;
    this.#groups = groups;
    for (const one of groups) for (let copy = 0; copy < 3; copy += 1) this.#add(one);
  }

  /** One machine takes a job; `fails` where the ledger does not lease it. */
  take(host: number, fails: boolean): void {
    const taken = this.#pool.take(hosts[host]!);
    if (taken === undefined) return;
    const winner = this.#groups.find((one) => pathOf(one) === pathOf(taken))!;
    if (fails) {
      this.#pool.putBack(taken, bucket(winner.queue, winner.kind));
      return;
    }
    for (const one of this.#groups) {
      if (!runs[host]!.includes(one.kind)) continue;
      const path = pathOf(one);
      const waited = one === winner ? 0 : (this.#waited.get(path) ?? 0) + 1;
      this.#waited.set(path, waited);
      this.#most.set(path, Math.max(waited, this.#most.get(path) ?? 0));
    }
    this.#add(winner);
  }

  longest(one: Group): number {
    return this.#most.get(pathOf(one)) ?? 0;
  }

  #add(one: Group): void {
    this.#jobs += 1;
    this.#pool.add({ job: `job-${this.#jobs}`, ...pathed(one), priority: 0 }, bucket(one.queue, one.kind));
  }
}

function pathed({ queue, owner, campaign }: Group) {
  return { queue, owner, campaign };
}

const groups = fc.uniqueArray(group, { minLength: 1, maxLength: 12, selector: pathOf });
const takes = fc.array(fc.tuple(fc.nat(2), fc.boolean()), { minLength: 100, maxLength: 600 });

describe('fair share between queues, owners and campaigns', () => {
  it('leases every job within the bound, counted in what machines that may run it are given', () => {
    fc.assert(
      fc.property(groups, shares, takes, (all, weights, steps) => {
        const race = new Race(poolOf(weights), all);
        for (const [host] of steps) race.take(host, false);
        for (const one of all) expect(race.longest(one)).toBeLessThanOrEqual(boundOf(one, all, weights));
      }),
      { numRuns: 60 },
    );
  });

  it('doubles the bound at most where machines take jobs they may not have', () => {
    fc.assert(
      fc.property(groups, shares, takes, (all, weights, steps) => {
        const race = new Race(poolOf(weights), all);
        for (const [host, fails] of steps) race.take(host, fails);
        for (const one of all) expect(race.longest(one)).toBeLessThanOrEqual(2 * boundOf(one, all, weights));
      }),
      { numRuns: 60 },
    );
  });

  it('gives every job out once, those of one campaign, kind and priority in order, lost ones first', () => {
    const job = fc.record({ group, priority: fc.integer({ min: -1, max: 1 }), wasLeased: fc.boolean() });
    const removed = fc.uniqueArray(fc.nat(59), { maxLength: 20 });
    fc.assert(
      fc.property(fc.array(job, { maxLength: 60 }), removed, (jobs, gone) => {
        const pool = new Pool();
        for (const [index, { group: of, priority, wasLeased }] of jobs.entries())
          pool.add({ job: `${index}`, ...pathed(of), priority }, bucket(of.queue, of.kind), wasLeased);
        for (const index of gone) pool.remove(`${index}`);
        const taken = takeAll(pool);
        const left = jobs.map((_, index) => `${index}`).filter((_, index) => !gone.includes(index));
        expect(taken.map((one) => one.job).sort()).toEqual(left.sort());
        expect(pool.size).toBe(0);
        for (const one of ordered(taken)) expect(one.map((each) => each.order)).toEqual(sorted(one));
      }),
      { numRuns: 100 },
    );
  });
});

function takeAll(pool: Pool): readonly Waiting[] {
  const taken: Waiting[] = [];
  for (let next = pool.take(hosts[0]!); next !== undefined; next = pool.take(hosts[0]!)) taken.push(next);
  return taken;
}

/** What was taken, by campaign, kind and priority. */
function ordered(taken: readonly Waiting[]): readonly (readonly Waiting[])[] {
  return [...Map.groupBy(taken, (one) => `${pathOf(one)} ${one.bucket} ${one.priority}`).values()];
}

function sorted(taken: readonly Waiting[]): readonly number[] {
  return taken.map((one) => one.order).sort((a, b) => a - b);
}

describe('what one owner cannot do to the others', () => {
  const any = bucket('main', 0);
  const [everything] = hosts;
  const job = (name: string, owner: string, campaign = 'one', priority = 0) => ({
    job: name,
    queue: 'main',
    owner,
    campaign,
    priority,
  });
  const ownersTaken = (pool: Pool, count: number): readonly (string | undefined)[] =>
    Array.from({ length: count }, () => pool.take(everything!)?.owner);

  it('bury them under many jobs that came first', () => {
    const pool = new Pool();
    for (let index = 0; index < 20_000; index += 1) pool.add(job(`flood-${index}`, 'flood'), any);
    for (let index = 0; index < 10; index += 1) pool.add(job(`late-${index}`, 'late'), any);
    expect(ownersTaken(pool, 20).filter((owner) => owner === 'late')).toHaveLength(10);
  });

  it('go first by a high priority: it is among its own jobs', () => {
    const pool = new Pool();
    for (let index = 0; index < 10; index += 1) pool.add(job(`loud-${index}`, 'loud', 'one', 1000), any);
    for (let index = 0; index < 10; index += 1) pool.add(job(`meek-${index}`, 'meek', 'one', -1000), any);
    expect(ownersTaken(pool, 10).filter((owner) => owner === 'meek')).toHaveLength(5);
  });

  it('get more by many campaigns', () => {
    const pool = new Pool();
    for (let index = 0; index < 1000; index += 1) pool.add(job(`many-${index}`, 'many', `c${index}`), any);
    for (let index = 0; index < 50; index += 1) pool.add(job(`few-${index}`, 'few'), any);
    expect(ownersTaken(pool, 100).filter((owner) => owner === 'few')).toHaveLength(50);
  });

  it('get more by coming and going: one job at a time, a new one when the last is taken', () => {
    const pool = new Pool();
    for (const owner of ['a', 'b', 'c'])
      for (let index = 0; index < 100; index += 1) pool.add(job(`${owner}-${index}`, owner), any);
    let came = 0;
    for (let turn = 0; turn < 100; turn += 1) {
      pool.add(job(`brief-${came}`, 'brief'), any);
      if (pool.take(everything!)?.owner === 'brief') came += 1;
    }
    expect(came).toBeLessThanOrEqual(26);
  });

  it('save up turns while no machine could run their jobs', () => {
    const pool = new Pool();
    const rare = bucket('main', 1);
    for (let index = 0; index < 100; index += 1) pool.add(job(`rare-${index}`, 'rare'), rare);
    for (let index = 0; index < 200; index += 1) pool.add(job(`usual-${index}`, 'usual'), any);
    for (let turn = 0; turn < 100; turn += 1) pool.take(hosts[1]!);
    const next = ownersTaken(pool, 20);
    expect(next.filter((owner) => owner === 'usual').length).toBeGreaterThanOrEqual(9);
  });

  it('lose turns to an agent that asks and may not have them', () => {
    const pool = new Pool();
    for (const owner of ['a', 'b'])
      for (let index = 0; index < 100; index += 1) pool.add(job(`${owner}-${index}`, owner), any);
    for (let turn = 0; turn < 1000; turn += 1) {
      const taken = pool.take(everything!)!;
      if (taken.owner === 'a') pool.putBack(taken, any);
    }
    pool.add(job('b-more', 'b'), any);
    for (let index = 0; index < 50; index += 1) pool.add(job(`b-again-${index}`, 'b'), any);
    expect(ownersTaken(pool, 20).filter((owner) => owner === 'a').length).toBeGreaterThanOrEqual(9);
  });

  it('starve jobs for which few machines are good by many for all', () => {
    const pool = new Pool();
    pool.add(job('rare', 'small'), bucket('main', 1));
    for (let index = 0; index < 1000; index += 1) pool.add(job(`small-${index}`, 'small'), any);
    for (let index = 0; index < 1000; index += 1) pool.add(job(`big-${index}`, 'big'), bucket('main', 2));
    // Small machines work for this owner all the time, so that on the large one it is always the other's turn.
    const elsewhere = (): void => {
      for (let other = 0; other < 5; other += 1) expect(pool.take(hosts[1]!)?.owner).toBe('small');
    };
    elsewhere();
    for (let turns = 1; pool.take(everything!)?.job !== 'rare'; turns += 1) {
      expect(turns).toBeLessThan(20);
      elsewhere();
    }
  });

  it('and remembers weights: three turns of four to an owner of weight 3', () => {
    const share = { owners: { heavy: 3 } };
    const pool = new Pool(createWeights([{ name: 'main', share }]));
    for (const owner of ['heavy', 'light'])
      for (let index = 0; index < 100; index += 1) pool.add(job(`${owner}-${index}`, owner), any);
    expect(ownersTaken(pool, 40).filter((owner) => owner === 'heavy')).toHaveLength(30);
  });

  it('refuses weights that are none, by name', () => {
    const bad = (weight: number) => () => createWeights([{ name: 'main', share: { owners: { a: weight } } }]);
    for (const weight of [0, -1, 0.5, Number.NaN, 1001])
      expect(bad(weight)).toThrow(/share.owners.a of queue main/);
    expect(bad(1000)).not.toThrow();
  });
});

describe('the place of a job', () => {
  it('counts what goes before it and whom it takes turns with', () => {
    const pool = new Pool();
    const any = bucket('main', 0);
    const add = (job: string, owner: string, campaign: string, priority = 0): void =>
      pool.add({ job, queue: 'main', owner, campaign, priority }, any);
    add('first', 'a', 'one');
    add('mine', 'a', 'one');
    add('other', 'a', 'two');
    add('urgent', 'a', 'two', 5);
    add('foreign', 'b', 'one', 9);
    expect(pool.placeOf('mine')).toEqual({ ahead: 2, campaigns: 2, owners: 2, queues: 1 });
    expect(pool.placeOf('gone')).toBeUndefined();
  });
});
