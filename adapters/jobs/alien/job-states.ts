/** States of AliEn by their numbers in its central database. */
const NAMES: Readonly<Record<string, string>> = {
  '1': 'INSERTING',
  '2': 'SPLITTING',
  '3': 'SPLIT',
  '4': 'QUEUED',
  '5': 'WAITING',
  '6': 'ASSIGNED',
  '7': 'STARTED',
  '8': 'INTERACTIV',
  '9': 'IDLE',
  '10': 'RUNNING',
  '11': 'SAVING',
  '12': 'SAVED',
  '13': 'MERGING',
  '14': 'FORCEMERGE',
  '15': 'DONE',
  '16': 'DONE_WARN',
  '17': 'TO_STAGE',
  '18': 'A_STAGED',
  '19': 'STAGING',
  '21': 'OVER_WAITING',
  '22': 'SAVED_WARN',
  '23': 'UPDATING',
  '-15': 'ZOMBIE',
};

/** A state that a service gives by number or by name. */
export function stateName(text: string): string {
  return NAMES[text] ?? text;
}

/** The job is with whoever took it, and goes on. */
export function isUnderWay(state: string): boolean {
  return state === 'RUNNING' || state === 'SAVING' || state === 'IDLE' || state === 'INTERACTIV';
}

/** It is with whoever took it, and does not run as far as the queue knows. */
export function isBehind(state: string): boolean {
  return state === 'ASSIGNED' || state === 'QUEUED' || state === 'STARTED' || state === 'ZOMBIE';
}
