import { type Account, accountKey } from '../core/account.ts';

/** Columns of an account of jobs that went, in one order; the key first. */
export const ACCOUNT_COLUMNS = [
  'key',
  'jobs',
  'events',
  'attempts',
  'cpu',
  'wall',
  'lost_cpu',
  'lost_wall',
] as const;

type Column = (typeof ACCOUNT_COLUMNS)[number];

/** What an account is added to, in the order of `ACCOUNT_COLUMNS`. */
export const ADD_TO_ACCOUNT = ACCOUNT_COLUMNS.slice(1)
  .map((column) => `${column} = account.${column} + excluded.${column}`)
  .join(', ');

export function accountValues(account: Account): readonly [string, ...number[]] {
  const { jobs, events, attempts, cpuSeconds, wallSeconds, lostCpuSeconds, lostWallSeconds } = account;
  return [
    accountKey(account),
    jobs,
    events,
    attempts,
    cpuSeconds,
    wallSeconds,
    lostCpuSeconds,
    lostWallSeconds,
  ];
}

/** A row as the store wrote it. */
export function accountOf(row: Readonly<Record<string, unknown>>): Account {
  const number = (column: Column): number => Number(row[column]);
  const [site, owner, campaign] = JSON.parse(String(row['key'])) as readonly [string, string, string];
  return {
    ...{ site, owner, campaign },
    jobs: number('jobs'),
    events: number('events'),
    attempts: number('attempts'),
    cpuSeconds: number('cpu'),
    wallSeconds: number('wall'),
    lostCpuSeconds: number('lost_cpu'),
    lostWallSeconds: number('lost_wall'),
  };
}
