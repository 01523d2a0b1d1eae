import {
  type Ad,
  adFromJson,
  type Expression,
  matches,
  parseExpression,
} from '../../protocol/classad/index.ts';
import { base32, bytesOf } from '../../protocol/encoding.ts';
import type { Description } from '../../protocol/generated/types.ts';

/**
 * What jobs that match the same machines have in common. Jobs are matched by bucket, never one by one: HTCondor calls
 * this autoclusters. The key covers Requirements and every attribute that matching reads.
 */
export interface Bucket {
  readonly key: string;
  readonly requirements: Expression;
  /** The job's side of the match. */
  readonly ad: Ad;
}

type Sha256 = (data: Uint8Array) => Uint8Array;

/** Memory and disk are asked for by every job, as HTCondor does; a host that does not say is taken at its word. */
const FITS = parseExpression(
  '(isUndefined(other.MemoryMiB) || my.RequestMemoryMiB <= other.MemoryMiB) && (isUndefined(other.DiskMiB) || my.RequestDiskMiB <= other.DiskMiB)',
);

/** Names the bucket without parsing anything: a job like many before it costs one digest. */
export function bucketKey(sha256: Sha256, queue: string, description: Description): string {
  const text = JSON.stringify([significant(queue, description), requirementsOf(description)]);
  return base32(sha256(bytesOf(text)).subarray(0, 16));
}

/** Throws `CLASSAD_SYNTAX` where the requirements are no expression. */
export function bucketOf(sha256: Sha256, queue: string, description: Description): Bucket {
  return {
    key: bucketKey(sha256, queue, description),
    requirements: parseExpression(requirementsOf(description)),
    ad: adFromJson(significant(queue, description)),
  };
}

function significant(queue: string, { limits }: Description) {
  return { Queue: queue, RequestMemoryMiB: limits.memoryMiB, RequestDiskMiB: limits.diskMiB };
}

function requirementsOf({ requirements }: Description): string {
  return requirements.trim() || 'true';
}

export function bucketMatches(bucket: Bucket, hostAd: Ad): boolean {
  return matches(FITS, bucket.ad, hostAd) && matches(bucket.requirements, bucket.ad, hostAd);
}
