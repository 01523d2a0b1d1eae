import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { AttemptRef } from '../storage-adapter.ts';

/**
 * Where things lie in the bridge's directory. No path holds anything an agent chose (I7): jobs and attempts are ids the
 * broker made, checked again here; a file lies under the digest of its name.
 */
export interface Places {
  readonly registry: string;
  readonly attempts: string;
  readonly inputs: string;
  job(job: string): string;
  attempt(ref: AttemptRef): string;
  file(ref: AttemptRef, name: string): string;
  input(sha256: string): string;
}

const JOB = /^[a-z2-7]{26}$/;
const ATTEMPT = /^[1-9][0-9]{0,6}$/;

export function createPlaces(directory: string): Places {
  const attempts = join(directory, 'attempts');
  const inputs = join(directory, 'inputs');
  const attempt = (ref: AttemptRef): string => {
    if (parseAttempt(ref.job, String(ref.attempt)) === undefined) throw new TypeError('no attempt');
    return join(attempts, ref.job, String(ref.attempt));
  };
  return {
    registry: join(directory, 'registry.sqlite'),
    attempts,
    inputs,
    job: (job) => join(attempts, job),
    attempt,
    file: (ref, name) => join(attempt(ref), nameOnDisk(name)),
    input: (sha256) => join(inputs, sha256),
  };
}

/** What a file is called on disk: the hex SHA-256 of its name. */
export function nameOnDisk(name: string): string {
  return createHash('sha256').update(name).digest('hex');
}

/** The attempt two directory names stand for, if any. */
export function parseAttempt(job: string, attempt: string): AttemptRef | undefined {
  return JOB.test(job) && ATTEMPT.test(attempt) ? { job, attempt: Number(attempt) } : undefined;
}
