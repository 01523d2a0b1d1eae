/**
 * What an agent makes of an `error` answer or a farewell, by stable code:
 * `refused` ends what was asked, `again` asks the same later, `renumber` first learns the counters from a new session,
 * `renew-identity` first renews the identity, `farewell` ends the agent.
 */
export type RefusalMeaning = 'refused' | 'again' | 'renumber' | 'renew-identity' | 'farewell';

const MEANINGS: ReadonlyMap<string, RefusalMeaning> = new Map([
  ['ATTEMPT_NOT_LIVE', 'refused'],
  ['BAD_SIGNATURE', 'refused'],
  ['FRAME_TOO_LARGE', 'refused'],
  ['MALFORMED_MESSAGE', 'refused'],
  ['NOT_AUTHORIZED', 'refused'],
  ['NOT_FOUND', 'refused'],
  ['UNKNOWN_KIND', 'refused'],
  ['UNSUPPORTED', 'refused'],
  ['STALE_COUNTER', 'renumber'],
  ['IDENTITY_EXPIRED', 'renew-identity'],
  ['BANNED', 'farewell'],
  ['OTHER_OWNER', 'farewell'],
  ['QUARANTINED', 'farewell'],
  ['REVOKED', 'farewell'],
  ['SUPERSEDED', 'farewell'],
]);

/** Codes that are not listed are the broker's trouble of the moment: ask again. */
export function meaningOf(code: string): RefusalMeaning {
  return MEANINGS.get(code) ?? 'again';
}
