import type { JobRow } from '../broker/core/state.ts';

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

/** Adds jobs of the ledger up; holds an account for each site, owner and campaign. */
export interface Accounts {
  /** Attempts that still run count with what they used so far. */
  add(job: JobRow): void;
  /** In the order of sites, owners and campaigns. */
  rows(): readonly Account[];
}

export function createAccounts(): Accounts {
  const accounts = new Map<string, Account>();
  return {
    add({ owner, campaign, events, attempts }) {
      for (const { site, state, usage } of attempts) {
        const key = JSON.stringify([site, owner, campaign]);
        const { cpuSeconds: cpu, wallSeconds: wall } = usage ?? { cpuSeconds: 0, wallSeconds: 0 };
        const isLost = state === 'void';
        const known = accounts.get(key) ?? { site, owner, campaign, ...NOTHING };
        accounts.set(key, {
          ...known,
          jobs: known.jobs + Number(state === 'committed'),
          events: known.events + (state === 'committed' ? events : 0),
          attempts: known.attempts + 1,
          cpuSeconds: known.cpuSeconds + cpu,
          wallSeconds: known.wallSeconds + wall,
          lostCpuSeconds: known.lostCpuSeconds + (isLost ? cpu : 0),
          lostWallSeconds: known.lostWallSeconds + (isLost ? wall : 0),
        });
      }
    },
    rows: () =>
      [...accounts.entries()].toSorted(([one], [other]) => (one < other ? -1 : 1)).map(([, row]) => row),
  };
}

const NOTHING = {
  jobs: 0,
  events: 0,
  attempts: 0,
  cpuSeconds: 0,
  wallSeconds: 0,
  lostCpuSeconds: 0,
  lostWallSeconds: 0,
} as const;
