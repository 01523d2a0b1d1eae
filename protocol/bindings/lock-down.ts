import { CoPilotError } from '../errors.ts';

/** What came of one thing that an agent must not be able to do, or must. */
export interface ProbeResult {
  readonly attempt: string;
  readonly outcome: 'as it should be' | 'leak' | 'broken';
  readonly detail: string;
}

/** Throws `INVALID_CONFIGURATION` where a result is not as it should be, and says which. */
export function refuseLeaks(results: readonly ProbeResult[]): void {
  const wrong = results.filter(({ outcome }) => outcome !== 'as it should be');
  if (wrong.length === 0) return;
  throw notLockedDown(
    wrong.map(({ attempt, outcome }) => `one could ${outcome === 'leak' ? '' : 'not '}${attempt}`).join('; '),
  );
}

export function notLockedDown(reason: string): CoPilotError {
  return new CoPilotError(
    'INVALID_CONFIGURATION',
    `the bus is not locked down (${reason}); \`co-pilot bus config\` writes a configuration that is`,
  );
}
