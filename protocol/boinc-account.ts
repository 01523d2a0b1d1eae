/** An account of a BOINC project, as a volunteer's client has it. */
export interface BoincAccount {
  /** Id of the user at the project; names change. */
  readonly user: number;
  /** The account key, or the weak one, `<user>_<md5>`: a secret in either form. */
  readonly authenticator: string;
  /** Id of the host at the project, where it has one. */
  readonly host?: number;
}

const MAX_ID = 2_147_483_647;
const AUTHENTICATOR = /^(?:[0-9]{1,10}_)?[0-9a-f]{32}$/;

export function isBoincAccount(value: {
  readonly user?: unknown;
  readonly authenticator?: unknown;
  readonly host?: unknown;
}): value is BoincAccount {
  const { user, authenticator, host } = value;
  return (
    isBoincId(user) &&
    typeof authenticator === 'string' &&
    AUTHENTICATOR.test(authenticator) &&
    (host === undefined || isBoincId(host))
  );
}

function isBoincId(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MAX_ID;
}
