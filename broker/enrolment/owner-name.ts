import { base32, bytesOf } from '../../protocol/encoding.ts';
import type { Crypto } from '../../protocol/runtime/runtime.ts';

const MAX_LENGTH = 64;
const PLAIN = /^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/;
const DIGEST_MARK = 'h-';

/**
 * The owner that a subject of a realm is: `realm.subject` where that is a name in the protocol, else `realm.h-` and a digest of the
 * subject. Two subjects are never one owner, and realms, which have no dot, never meet.
 */
export function ownerName({ sha256 }: Pick<Crypto, 'sha256'>, realm: string, subject: string): string {
  const name = `${realm}.${subject}`;
  const isPlain = PLAIN.test(subject) && !subject.startsWith(DIGEST_MARK) && name.length <= MAX_LENGTH;
  return isPlain ? name : `${realm}.${DIGEST_MARK}${base32(sha256(bytesOf(subject)).subarray(0, 20))}`;
}
