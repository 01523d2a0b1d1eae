import type { Attempt, JobRow } from './state.ts';

/** What the jobs of one owner and campaign used at one site. */
export interface Account {
  /** Where the attempts ran. */
  readonly site: string;
  /** Whose jobs they were. */
  readonly owner: string;
  readonly campaign: string;
  /** Jobs whose result was committed there. */
  readonly jobs: number;
  /** Events of those results that their frameworks took, as these count them. */
  readonly events: number;
  readonly attempts: number;
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
  /** Of these, what attempts used that came to nothing. */
  readonly lostCpuSeconds: number;
  readonly lostWallSeconds: number;
}

/** Accounts of jobs that went that a ledger keeps. Beyond, campaigns are no longer kept apart. */
export const MAX_ACCOUNTS = 100_000;
const OTHERS = '(others)';

/** What is added up of a job. */
export type AccountedJob = Pick<JobRow, 'owner' | 'campaign' | 'events'> & {
  readonly attempts: readonly AccountedAttempt[];
};

type AccountedAttempt = Pick<Attempt, 'site' | 'state' | 'usage'>;

/** Adds jobs up; holds an account for each site, owner and campaign. */
export interface Accounts {
  /** Attempts that still run count with what they used so far. */
  add(job: AccountedJob): void;
  /** What was added up elsewhere. */
  include(account: Account): void;
  /** In the order of sites, owners and campaigns. */
  rows(): readonly Account[];
}

export function createAccounts(): Accounts {
  const accounts = new Map<string, Account>();
  const include = (account: Account): void => {
    const key = accountKey(account);
    const known = accounts.get(key);
    accounts.set(key, known === undefined ? account : sumOf(known, account));
  };
  return {
    add(job) {
      for (const attempt of job.attempts) include(accountOf(job, attempt));
    },
    include,
    rows: () =>
      [...accounts.entries()].toSorted(([one], [other]) => (one < other ? -1 : 1)).map(([, row]) => row),
  };
}

/** What is kept of jobs that go; `isFull` where the ledger has as many accounts as it keeps. */
export function accountsOfGone(jobs: readonly AccountedJob[], isFull: boolean): readonly Account[] {
  const accounts = createAccounts();
  for (const job of jobs) accounts.add(isFull ? { ...job, campaign: OTHERS } : job);
  return accounts.rows();
}

/** Names an account, in the order of `rows`. */
export function accountKey({ site, owner, campaign }: Account): string {
  return JSON.stringify([site, owner, campaign]);
}

function accountOf(
  { owner, campaign, events }: AccountedJob,
  { site, state, usage }: AccountedAttempt,
): Account {
  const { cpuSeconds, wallSeconds } = usage ?? { cpuSeconds: 0, wallSeconds: 0 };
  const isResult = state === 'committed';
  const isLost = state === 'void';
  return {
    ...{ site, owner, campaign },
    jobs: Number(isResult),
    events: isResult ? events : 0,
    attempts: 1,
    cpuSeconds,
    wallSeconds,
    lostCpuSeconds: isLost ? cpuSeconds : 0,
    lostWallSeconds: isLost ? wallSeconds : 0,
  };
}

function sumOf(one: Account, other: Account): Account {
  return {
    ...one,
    jobs: one.jobs + other.jobs,
    events: one.events + other.events,
    attempts: one.attempts + other.attempts,
    cpuSeconds: one.cpuSeconds + other.cpuSeconds,
    wallSeconds: one.wallSeconds + other.wallSeconds,
    lostCpuSeconds: one.lostCpuSeconds + other.lostCpuSeconds,
    lostWallSeconds: one.lostWallSeconds + other.lostWallSeconds,
  };
}
