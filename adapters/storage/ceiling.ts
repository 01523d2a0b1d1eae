import { CoPilotError } from '../../protocol/errors.ts';
import type { Grant } from '../../protocol/generated/types.ts';
import { collidingName, isFileName, MAX_ATTEMPT_FILES } from './file-names.ts';

/** What a storage adapter grants at most, whoever asks: read from its own configuration, so that a stolen broker cannot exceed it. */
export interface Ceiling {
  readonly maxFileBytes: number;
  readonly maxAttemptBytes: number;
  readonly maxTotalBytes: number;
  /** How long a capability lives; 15 minutes where nothing is said (I6). */
  readonly maxCapabilitySeconds?: number;
  readonly verbs: readonly ('get' | 'put')[];
}

const DEFAULT_CAPABILITY_SECONDS = 900;

/** Throws `NOT_AUTHORIZED`, naming the first thing that is over. */
export function requireWithin(grant: Grant, ceiling: Ceiling): void {
  const over = firstExcess(grant, ceiling);
  if (over !== undefined) throw new CoPilotError('NOT_AUTHORIZED', `the grant exceeds this storage: ${over}`);
}

function firstExcess(grant: Grant, ceiling: Ceiling): string | undefined {
  if (grant.get.length > 0 && !ceiling.verbs.includes('get')) return 'get is not granted here';
  if (grant.put.length > 0 && !ceiling.verbs.includes('put')) return 'put is not granted here';
  if (grant.put.length > 0 && grant.totalBytes > ceiling.maxAttemptBytes) return 'totalBytes';
  if (grant.put.length > MAX_ATTEMPT_FILES) return 'too many files';
  return firstBadFile(grant, ceiling);
}

function firstBadFile(grant: Grant, ceiling: Ceiling): string | undefined {
  const names = grant.put.map((file) => file.name);
  for (const [index, file] of grant.put.entries()) {
    if (!isFileName(file.name)) return 'a file name';
    if (file.maxBytes > ceiling.maxFileBytes) return `maxBytes of ${file.name}`;
    if (names.indexOf(file.name) !== index || collidingName(file.name, names) !== undefined)
      return `${file.name} collides with another file`;
  }
  return grant.get.every((file) => isFileName(file.name)) ? undefined : 'an input name';
}

/** When a capability minted now ends, in whole seconds of wall time: with the grant, or with the ceiling if that is sooner. */
export function capabilityEnd(grant: Grant, ceiling: Ceiling, wallMs: number): number {
  const seconds = ceiling.maxCapabilitySeconds ?? DEFAULT_CAPABILITY_SECONDS;
  return Math.min(grant.exp, Math.floor(wallMs / 1000) + seconds);
}
