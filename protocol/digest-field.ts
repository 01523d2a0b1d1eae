const MEMBER = /^sha-256=:([A-Za-z0-9+/]{43}=):$/;
const MAX_FIELD_CHARACTERS = 512;

/** A SHA-256 in hex as the value of `Repr-Digest` or `Content-Digest` (RFC 9530 section 2). */
export function digestField(sha256: string): string {
  return `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`;
}

/** The SHA-256 in lower-case hex of such a field; undefined where it has none, or two. Other algorithms are passed over. */
export function sha256OfField(field: string): string | undefined {
  if (field.length > MAX_FIELD_CHARACTERS) return undefined;
  const found = field
    .split(',')
    .map((member) => MEMBER.exec(member.trim())?.[1])
    .filter((base64) => base64 !== undefined);
  const [only, ...more] = found;
  return only === undefined || more.length > 0 ? undefined : Buffer.from(only, 'base64').toString('hex');
}
