import { type BoincAccount, isBoincAccount } from '../../protocol/boinc-account.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import type { Fields } from './key-values.ts';

/** What a virtual machine was told by whoever started it. */
export interface VmContext {
  /** The volunteer's account; with its authenticator one can do everything in the volunteer's name. */
  readonly account: BoincAccount;
  /** Where to enrol and whom to believe, as text; no secret. */
  readonly installation?: string;
}

export const CONTEXT_KEYS = {
  user: 'BOINC_USERID',
  host: 'BOINC_HOSTID',
  authenticator: 'BOINC_AUTHENTICATOR',
  installation: 'COPILOT_INSTALLATION',
} as const;

/** Throws `INVALID_CONTEXT` where there is no account, or none that can be one; the message repeats nothing of it. */
export function vmContext(fields: Fields, place: string): VmContext {
  const { user, host, authenticator } = CONTEXT_KEYS;
  for (const key of [user, authenticator])
    if (!fields.has(key)) throw new CoPilotError('INVALID_CONTEXT', `${place} holds no ${key}`);
  const account = {
    user: idOf(fields.get(user)),
    authenticator: fields.get(authenticator) ?? '',
    // BOINC writes 0 where the project has not given the host a number yet.
    ...(idOf(fields.get(host)) !== 0 && { host: idOf(fields.get(host)) }),
  };
  if (!isBoincAccount(account))
    throw new CoPilotError('INVALID_CONTEXT', `${place} holds no account of BOINC that can be one`);
  const installation = fields.get(CONTEXT_KEYS.installation);
  return { account, ...(installation !== undefined && { installation }) };
}

/** NaN where the text is no number. */
function idOf(text = '0'): number {
  return /^[0-9]{1,10}$/.test(text) ? Number(text) : Number.NaN;
}
