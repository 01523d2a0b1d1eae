import { expect, it } from 'vitest';
import { MAX_EVENTS } from '../../../adapters/jobs/job-adapter.ts';
import { type AccountedJob, accountsOfGone, createAccounts } from '../../../broker/core/account.ts';

type OneAttempt = AccountedJob['attempts'][number];
const attempt = (change: Partial<OneAttempt>): OneAttempt => ({
  ...{ site: 'home', state: 'committed', usage: null },
  ...change,
});
const usage = (cpuSeconds: number, wallSeconds: number) => ({
  cpuSeconds,
  wallSeconds,
  memoryMiB: 1,
  diskMiB: 1,
});
const job = (owner: string, campaign: string, attempts: readonly OneAttempt[], events = 0): AccountedJob => ({
  owner,
  campaign,
  attempts,
  events,
});

it('adds up what attempts used, where they ran and whose they were', () => {
  const accounts = createAccounts();
  accounts.add(
    job(
      'ann',
      'first',
      [
        attempt({ site: 'attic', state: 'void', usage: usage(5, 9) }),
        attempt({ state: 'committed', usage: usage(10, 20) }),
      ],
      1_000,
    ),
  );
  accounts.add(job('ann', 'first', [attempt({ usage: usage(1, 2) })], 24));
  accounts.add(
    job('bob', 'first', [attempt({ state: 'live', usage: usage(3, 4) }), attempt({ state: 'void' })]),
  );
  accounts.add(job('bob', 'never began', []));
  const none = { lostCpuSeconds: 0, lostWallSeconds: 0 };
  expect(accounts.rows()).toEqual([
    {
      ...{
        site: 'attic',
        owner: 'ann',
        campaign: 'first',
        jobs: 0,
        events: 0,
        attempts: 1,
        cpuSeconds: 5,
        wallSeconds: 9,
      },
      ...{ lostCpuSeconds: 5, lostWallSeconds: 9 },
    },
    {
      site: 'home',
      owner: 'ann',
      campaign: 'first',
      jobs: 2,
      events: 1_024,
      attempts: 2,
      cpuSeconds: 11,
      wallSeconds: 22,
      ...none,
    },
    {
      site: 'home',
      owner: 'bob',
      campaign: 'first',
      jobs: 0,
      events: 0,
      attempts: 2,
      cpuSeconds: 3,
      wallSeconds: 4,
      ...none,
    },
  ]);
});

it('keeps names apart that together are the same text', () => {
  const accounts = createAccounts();
  accounts.add(job('a', 'b.c', [attempt({})]));
  accounts.add(job('a.b', 'c', [attempt({})]));
  expect(accounts.rows()).toHaveLength(2);
});

it('adds up as many events as jobs of the largest number have, without losing one', () => {
  const accounts = createAccounts();
  for (let at = 0; at < 1_001; at++) accounts.add(job('ann', 'first', [attempt({})], MAX_EVENTS));
  accounts.add(job('ann', 'first', [attempt({})], 1));
  expect(accounts.rows()[0]?.events).toBe(1_001 * MAX_EVENTS + 1);
});

it('of jobs that went keeps campaigns apart until there are too many of them', () => {
  const gone = ['a', 'b'].map((campaign) => job('ann', campaign, [attempt({})], 5));
  expect(accountsOfGone(gone, false).map(({ campaign, events }) => [campaign, events])).toEqual([
    ['a', 5],
    ['b', 5],
  ]);
  expect(accountsOfGone(gone, true)).toMatchObject([
    { owner: 'ann', campaign: '(others)', jobs: 2, events: 10 },
  ]);
});
