/** The level of each state: what a job passes rises. Classic AliEn (`AliEn::Database::TaskQueue`) and JAliEn (`JobStatus`) differ. */
interface Level {
  readonly id: number;
  readonly classic: number | undefined;
  readonly jalien: number | undefined;
}

const LEVELS: Readonly<Record<string, Level>> = {
  INSERTING: { id: 1, classic: 10, jalien: 10 },
  UPDATING: { id: 23, classic: 100, jalien: 11 },
  SPLITTING: { id: 2, classic: 15, jalien: 15 },
  TO_STAGE: { id: 17, classic: 16, jalien: 16 },
  A_STAGED: { id: 18, classic: 17, jalien: 17 },
  SPLIT: { id: 3, classic: 18, jalien: 18 },
  STAGING: { id: 19, classic: 19, jalien: 19 },
  WAITING: { id: 5, classic: 20, jalien: 20 },
  OVER_WAITING: { id: 21, classic: 21, jalien: 21 },
  ASSIGNED: { id: 6, classic: 25, jalien: 25 },
  QUEUED: { id: 4, classic: 30, jalien: undefined },
  STARTED: { id: 7, classic: 40, jalien: 40 },
  IDLE: { id: 9, classic: 50, jalien: 45 },
  INTERACTIV: { id: 8, classic: 50, jalien: 46 },
  RUNNING: { id: 10, classic: 50, jalien: 50 },
  SAVING: { id: 11, classic: 60, jalien: 60 },
  SAVED: { id: 12, classic: 70, jalien: 70 },
  SAVED_WARN: { id: 22, classic: 71, jalien: 71 },
  ZOMBIE: { id: -15, classic: 999, jalien: 600 },
  FORCEMERGE: { id: 14, classic: 950, jalien: 700 },
  MERGING: { id: 13, classic: 970, jalien: 701 },
  DONE: { id: 15, classic: 980, jalien: 800 },
  DONE_WARN: { id: 16, classic: 981, jalien: 801 },
  ERROR_A: { id: -1, classic: 990, jalien: 900 },
  ERROR_I: { id: -2, classic: 990, jalien: 901 },
  ERROR_E: { id: -3, classic: 990, jalien: 902 },
  ERROR_IB: { id: -4, classic: 990, jalien: 903 },
  ERROR_M: { id: -5, classic: 990, jalien: 904 },
  ERROR_RE: { id: -17, classic: 990, jalien: 905 },
  ERROR_S: { id: -7, classic: 990, jalien: 906 },
  ERROR_SV: { id: -9, classic: 990, jalien: 907 },
  ERROR_V: { id: -10, classic: 990, jalien: 908 },
  ERROR_VN: { id: -11, classic: 990, jalien: 909 },
  ERROR_VT: { id: -16, classic: 990, jalien: 910 },
  ERROR_EW: { id: -18, classic: 990, jalien: 911 },
  ERROR_W: { id: -19, classic: undefined, jalien: 912 },
  ERROR_SPLT: { id: -8, classic: 990, jalien: 913 },
  ERROR_VER: { id: -20, classic: undefined, jalien: 914 },
  FAULTY: { id: 24, classic: undefined, jalien: 950 },
  INCORRECT: { id: 25, classic: undefined, jalien: 951 },
  EXPIRED: { id: -12, classic: 1000, jalien: 1000 },
  FAILED: { id: -13, classic: 1000, jalien: 1001 },
  KILLED: { id: -14, classic: 1001, jalien: 1002 },
};

export type Generation = 'classic' | 'jalien';

export function isState(name: string, generation: Generation): boolean {
  return LEVELS[name]?.[generation] !== undefined;
}

export function stateId(name: string): number {
  return LEVELS[name]?.id ?? 0;
}

/** Classic: a job rises, except out of ZOMBIE, IDLE and INTERACTIV. JAliEn lets every change pass. */
export function isLegal(from: string, to: string, generation: Generation): boolean {
  if (generation === 'jalien' || ['ZOMBIE', 'IDLE', 'INTERACTIV'].includes(from)) return true;
  return (LEVELS[to]?.classic ?? 0) > (LEVELS[from]?.classic ?? 0);
}

/** Nothing comes after it, short of a resubmission. */
export function isFinal(state: string): boolean {
  return (LEVELS[state]?.jalien ?? 0) >= 800;
}

/** The token of the job ends with these: what comes later cannot change it. */
export function endsToken(state: string): boolean {
  return /^(?:ERROR_.*|SAVED_WARN|SAVED|KILLED|FAILED|EXPIRED|DONE|DONE_WARN)$/.test(state);
}

/** The state with a number of the central database; empty where there is none. */
export function stateName(id: number): string {
  return Object.entries(LEVELS).find(([, level]) => level.id === id)?.[0] ?? '';
}
