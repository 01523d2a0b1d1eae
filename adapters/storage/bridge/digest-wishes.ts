import { digestField } from '../../../protocol/digest-field.ts';
import { EXTRA_ALGORITHMS, type ExtraAlgorithm, type ExtraDigests } from './digests.ts';

/** Names of the IANA registry for HTTP digest fields (RFC 9530 section 5). */
const REGISTERED: Readonly<Record<ExtraAlgorithm, string>> = { md5: 'md5', adler32: 'adler' };
const MAX_FIELD_CHARACTERS = 512;
const WISH = /^([a-z][a-z0-9_.*-]{0,31})(?:=(10|[0-9]))?$/;

/** What `Want-Repr-Digest` asks for beside SHA-256 (RFC 9530 section 4); a weight of 0 asks for none. What we do not know is passed over. */
export function wantedDigests(field: string | undefined): readonly ExtraAlgorithm[] {
  if (field === undefined || field.length > MAX_FIELD_CHARACTERS) return [];
  const wished = new Set(
    field.split(',').flatMap((member) => {
      const [, name, weight] = WISH.exec(member.trim()) ?? [];
      return name === undefined || weight === '0' ? [] : [name];
    }),
  );
  return EXTRA_ALGORITHMS.filter((algorithm) => wished.has(REGISTERED[algorithm]));
}

/** `Repr-Digest` with the SHA-256 first and the wanted others that are known. */
export function reprDigest(sha256: string, known: ExtraDigests, wanted: readonly ExtraAlgorithm[]): string {
  const members = wanted.flatMap((algorithm) => {
    const value = known[algorithm];
    return value === undefined
      ? []
      : [`${REGISTERED[algorithm]}=:${Buffer.from(value, 'hex').toString('base64')}:`];
  });
  return [digestField(sha256), ...members].join(', ');
}
