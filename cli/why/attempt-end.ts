import type { Attempt } from '../../broker/core/state.ts';
import type { Cause } from './causes.ts';

/** Why an attempt ended without a result. */
export interface AttemptEnd {
  readonly cause: Cause;
  readonly words: string;
}

type Pattern = readonly [RegExp, Cause];

/** Of reasons the broker gives (broker/core). */
const LOST: readonly Pattern[] = [
  [/^lease ran out/, 'lease-lost'],
  [/^not renewed in time/, 'never-renewed'],
  [/^released: drain/, 'released'],
  [/^released: /, 'agent-unable'],
  [/^agent revoked/, 'agent-revoked'],
  [/^the agent went back/, 'agent-restored'],
  [/^cancelled: /, 'cancelled'],
];

/** Of what an agent says where it could not run the job, or not take its files (agent/loop, agent/store). */
const FAILED: readonly Pattern[] = [
  [/^an input could not be fetched: DIGEST_MISMATCH/, 'input-corrupt'],
  [/^an input could not be fetched/, 'input-unavailable'],
  [/^the declared output .* is missing/, 'missing-output'],
  [/^the declared outputs? /, 'unusable-output'],
];

/** Of what is wrong with a result (broker/core/verdict.ts, adapters/storage/manifest.ts). */
const REFUSED: readonly Pattern[] = [[/^the declared output .* is not in the manifest/, 'missing-output']];

const LIMITS: Readonly<Record<string, Cause>> = {
  wall: 'wall-limit',
  cpu: 'cpu-limit',
  memory: 'memory-limit',
  disk: 'disk-limit',
  files: 'disk-limit',
  output: 'disk-limit',
};

export function endOf({ exit, reason }: Pick<Attempt, 'exit' | 'reason'>): AttemptEnd {
  const cancelled = first([[/^cancelled: /, 'cancelled']], reason);
  if (exit === null || cancelled !== undefined) {
    return { cause: cancelled ?? first(LOST, reason) ?? 'unexplained', words: reason };
  }
  switch (exit.kind) {
    case 'exited':
      return exit.code === 0
        ? { cause: first(REFUSED, reason) ?? 'result-mismatch', words: reason }
        : { cause: 'payload-exit', words: `its program ended with code ${exit.code}` };
    case 'signalled':
      return { cause: 'payload-signal', words: `its program was ended by ${exit.signal}` };
    case 'limit':
      return { cause: LIMITS[exit.limit] ?? 'unexplained', words: `it went over its ${exit.limit} limit` };
    case 'failed':
      return { cause: first(FAILED, exit.reason) ?? 'payload-not-started', words: exit.reason };
  }
}

function first(patterns: readonly Pattern[], text: string): Cause | undefined {
  return patterns.find(([pattern]) => pattern.test(text))?.[1];
}
