import { hash } from 'node:crypto';
import { base32 } from '../../../protocol/encoding.ts';

/**
 * The id of a job that a framework names by these parts (the framework, its server, its own id of the job, its number of the try):
 * 26 characters of base32. The same parts always give the same id, other parts another, wherever one ends and the next begins.
 */
export function jobIdOf(...parts: readonly string[]): string {
  const digest = hash('sha256', JSON.stringify(parts), 'buffer');
  return base32(digest.subarray(0, 16));
}
