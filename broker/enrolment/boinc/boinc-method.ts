import type { BoincAccount } from '../../../protocol/boinc-account.ts';
import { base64url, bytesOf, hex } from '../../../protocol/encoding.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { Identity } from '../../../protocol/generated/types.ts';
import type { Runtime } from '../../../protocol/runtime/runtime.ts';
import { RateLimiter } from '../../../protocol/session/rate-limiter.ts';
import { type EnrolmentMethod, type Judgement, refused } from '../method.ts';
import { ownerName } from '../owner-name.ts';
import type { BoincProject, BoincUser } from './boinc-project.ts';

/** What volunteers of a project become here. */
export interface BoincTerms {
  /** The project's name; stands in the names of owners. */
  readonly project: string;
  readonly site: string;
  readonly tier: Identity['tier'];
  /** Whether an account alone is not enough: hosts that get no work would else leave their number out. */
  readonly requireHost: boolean;
}

const REALM = 'boinc';
/** Questions about one user, whoever asks: a burst, then one more each interval. */
const ASKED = { burst: 20, everyMs: 5_000 };
const DIGEST_BYTES = 32;
/** Hosts that were merged into one another; BOINC's own loop has no end. */
const MAX_MERGES = 10;

/** BOINC accounts: whoever shows a user's authenticator, strong or weak, is that user. */
export function createBoincMethod(
  terms: BoincTerms,
  project: BoincProject,
  runtime: AccountRuntime,
): EnrolmentMethod<BoincAccount> {
  return { judge: createBoincJudge(terms, project, runtime) };
}

type AccountRuntime = Pick<Runtime, 'clock' | 'crypto' | 'random'>;

/** Judges an account by itself, whoever shows it. Rejects as `EnrolmentMethod` does, and with `RATE_LIMITED`. */
export function createBoincJudge(
  { project: name, site, tier, requireHost }: BoincTerms,
  project: BoincProject,
  { clock, crypto, random }: AccountRuntime,
): (account: BoincAccount) => Promise<Judgement> {
  const limiter = new RateLimiter(ASKED);
  /** Stands for users that are not there: as much is compared for them. Nobody can show what has these digests. */
  const nobody: BoincUser = { strong: randomDigest(), weak: randomDigest(), banishedUntil: 0 };

  function randomDigest(): string {
    return hex(random.bytes(DIGEST_BYTES));
  }

  /** Digests of both go through SHA-256 first: comparing tells nothing by its timing. */
  function isDigestOf(text: string, digest: string): boolean {
    const shown = crypto.sha256(bytesOf(hex(crypto.sha256(bytesOf(text)))));
    return base64url(shown) === base64url(crypto.sha256(bytesOf(digest)));
  }

  async function whyNot({ user, host, authenticator }: BoincAccount): Promise<string | undefined> {
    const found = await project.user(user);
    const { strong, weak, banishedUntil } = found ?? nobody;
    const shown = [strong, weak].map((digest) => isDigestOf(authenticator, digest));
    if (!shown.includes(true)) return 'the user is unknown, or the authenticator is not his';
    if (banishedUntil * 1000 > clock.wallMs()) return 'the user is banned';
    if (host === undefined) return requireHost ? 'it names no host' : undefined;
    return whyNoHost(host, user);
  }

  async function whyNoHost(first: number, user: number): Promise<string | undefined> {
    let id = first;
    for (let merges = 0; merges <= MAX_MERGES; merges++) {
      const found = await project.host(id);
      if (found === undefined) return 'the host is unknown';
      if (found.maxResultsDay === -1) return 'the project gives the host no work';
      if (found.user !== 0) return found.user === user ? undefined : 'the host is another user\u2019s';
      id = found.sequence;
    }
    return 'the host was merged too often';
  }

  return async (account) => {
    if (!limiter.take(String(account.user), clock.monotonicMs()))
      throw new CoPilotError('RATE_LIMITED', 'too many questions about this user; try again later');
    const why = await whyNot(account);
    if (why !== undefined) return refused(why);
    return {
      kind: 'known',
      terms: { owner: ownerName(crypto, REALM, `${name}.${account.user}`), site, tier },
    };
  };
}
