import { agentIdOf } from '../../protocol/agent-id.ts';
import type { Identity } from '../../protocol/generated/types.ts';
import { base64url, fromBase64url } from '../../protocol/encoding.ts';
import type {
  EnrolmentRequest,
  ProofFields,
  RenewalRequest,
  RenewedIdentity,
  Enrolled,
} from '../../protocol/enrolment.ts';
import { encodeEnrolmentCode, encodeInstallationPin, verifyProof } from '../../protocol/enrolment.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import type { PrivateKey, PublicKey, Runtime } from '../../protocol/runtime/runtime.ts';
import { type RateLimit, RateLimiter } from '../../protocol/session/rate-limiter.ts';
import { judgeIdentityBy, signIdentity } from '../../protocol/tokens.ts';
import type { AgentRow } from '../core/state.ts';
import { codeDigest, createChallenges } from './challenge.ts';
import { createCodeMethod } from './code-method.ts';
import type { CodeStore, CodeTerms } from './code-store.ts';
import type { EnrolmentTerms } from './method.ts';
import { type EnrolmentMethods, judgeCredential } from './methods.ts';

export interface EnrolmentOptions {
  readonly runtime: Runtime;
  readonly installation: string;
  /** P-256; its public half is what brokers and buses check identities with. It may be another each time it is read. */
  readonly identityKey: PrivateKey;
  /** Ed25519; certifies broker instances. */
  readonly certifier: PublicKey;
  /** The same in all brokers of the installation. Where it is left out, challenges hold at this one until its end. */
  readonly challengeKey?: Uint8Array;
  readonly codes: CodeStore;
  /** Ways to enrol beside one-use codes. */
  readonly methods?: EnrolmentMethods;
  /** Where agents reach the enrolment, and the buses. */
  readonly publicUrl: () => string;
  readonly busUrls: () => readonly string[];
  /** Where other brokers of the installation renew identities. */
  readonly elsewhere?: readonly string[];
  readonly agent: (id: string) => Promise<AgentRow | undefined>;
  /** Gives the agent a place among those of its owner, or says that it has one; why not, where it does not. Nobody counts where it is left out. */
  readonly register?: (agent: string, terms: EnrolmentTerms) => Promise<Registration>;
  /** Makes room on the bus for an agent that has just shown to be one. */
  readonly admit?: (agent: string) => Promise<void>;
  readonly identitySeconds?: number;
  /** Keys whose identities may be renewed; the one that signs where it is left out. */
  readonly renewableKeys?: () => readonly PublicKey[];
  /** Keys that an emergency took away: what they signed is renewed to what the ledger knows, and to nothing else. */
  readonly droppedKeys?: () => readonly PublicKey[];
  /** The certifier's word for the one that will follow it. */
  readonly endorsement?: () => string | undefined;
  /** Enrolments of one owner: a burst, then one more each interval. */
  readonly ownerLimit?: RateLimit;
}

export type Registration = 'registered' | 'TOO_MANY_AGENTS' | 'REVOKED' | 'refused';

/** Turns credentials into identities bound to keys, and renews them. */
export interface Enrolment {
  challenge(): { readonly challenge: string; readonly installation: string };
  /**
   * Rejects with `ENROLMENT_REFUSED`, the same for every reason that could be probed, `ENROLMENT_UNAVAILABLE` or `RATE_LIMITED`; with
   * `TOO_MANY_AGENTS` where the owner has as many as may be.
   */
  enrol(request: EnrolmentRequest): Promise<Enrolled>;
  /** Rejects with `ENROLMENT_REFUSED`, `REVOKED` or `TOO_MANY_AGENTS`. */
  renew(request: RenewalRequest): Promise<RenewedIdentity>;
  /** A new code as the text a person hands over; valid for `seconds`. */
  issueCode(terms: CodeTerms, seconds: number): Promise<string>;
  /** What agents need that enrol without a code: where, and whom to believe. No secret. */
  pin(): string;
}

const IDENTITY_SECONDS = 24 * 3600;
/** An identity may be renewed this long after its end. */
const RENEWABLE_SECONDS = 7 * 24 * 3600;
/** No identity is alive, or can be renewed, so long after it was given. */
export const LONGEST_IDENTITY_SECONDS = IDENTITY_SECONDS + RENEWABLE_SECONDS;
const SECRET_BYTES = 18;
/** A site may start a whole cluster at once; nobody makes agents without end. */
const OWNER_LIMIT: RateLimit = { burst: 1_000, everyMs: 1_000 };

export function createEnrolment(options: EnrolmentOptions): Enrolment {
  const { runtime, installation, codes } = options;
  const { crypto, clock, random } = runtime;
  const seconds = options.identitySeconds ?? IDENTITY_SECONDS;
  const challenges = createChallenges(crypto, random, clock, options.challengeKey ?? random.bytes(32));
  const owners = new RateLimiter(options.ownerLimit ?? OWNER_LIMIT);
  const methods: EnrolmentMethods = { ...options.methods, code: createCodeMethod(codes, runtime) };
  const elsewhere = options.elsewhere && { elsewhere: options.elsewhere };
  /** Whom an agent is to believe, now and next. */
  const certifiers = (): { readonly certifier: string; readonly endorsement?: string } => {
    const endorsement = options.endorsement?.();
    return { certifier: base64url(options.certifier.raw), ...(endorsement !== undefined && { endorsement }) };
  };

  function identity(sig: string, kex: string, { owner, site, tier }: EnrolmentTerms): string {
    const iat = Math.floor(clock.wallMs() / 1000);
    const sub = agentId(sig);
    return signIdentity(crypto, options.identityKey, {
      iss: installation,
      sub,
      owner,
      site,
      tier,
      sig,
      kex,
      iat,
      exp: iat + seconds,
    });
  }

  function agentId(sig: string): string {
    return agentIdOf(crypto, installation, sig);
  }

  /** The proof shows that whoever asks holds the signing key now, and names the session key it stands for. */
  function checkProof(
    purpose: 'enrol' | 'renew',
    challenge: string,
    sig: string,
    kex: string,
    proof: string,
  ): void {
    const isOurs = challenges.check(challenge);
    const key = importKey(sig);
    const isProved =
      key !== undefined && verifyProof(crypto, key, purpose, { installation, challenge, sig, kex }, proof);
    if (!isOurs || !isProved) throw refusal();
  }

  function importKey(sig: string): PublicKey | undefined {
    try {
      return crypto.importPublic('ed25519', fromBase64url(sig) ?? new Uint8Array());
    } catch {
      return undefined; // no key at all: refused like a wrong proof
    }
  }

  async function checkStanding(agent: string): Promise<void> {
    const row = await options.agent(agent);
    if (row?.status === 'revoked' || row?.status === 'quarantined') throw revoked();
  }

  async function register(agent: string, terms: EnrolmentTerms): Promise<void> {
    const registration = await options.register?.(agent, terms);
    if (registration === undefined || registration === 'registered') return;
    if (registration === 'REVOKED') throw revoked();
    const { owner } = terms;
    runtime.log.info({ agent, owner, reason: registration }, 'an identity was refused');
    if (registration === 'refused') throw refusal();
    throw new CoPilotError(
      'TOO_MANY_AGENTS',
      'this owner has as many agents as it may; one that is revoked, or was not heard of for nine days, makes room',
    );
  }

  async function termsOf(request: EnrolmentRequest, fields: ProofFields): Promise<EnrolmentTerms> {
    const judged = await judgeCredential(methods, request, fields);
    if (judged.kind === 'known') {
      // Told to whoever has shown to be the owner, and nobody else.
      if (owners.take(judged.terms.owner, clock.monotonicMs())) return judged.terms;
      throw new CoPilotError('RATE_LIMITED', 'too many agents of this owner enrol at once; try again later');
    }
    runtime.log.info({ method: request.method, reason: judged.reason }, 'an enrolment was refused');
    throw refusal();
  }

  function judgeRenewal(token: string): { readonly claims?: Identity; readonly isDropped: boolean } {
    const keys = options.renewableKeys?.() ?? [options.identityKey.publicKey];
    const { judged } = judgeIdentityBy(crypto, keys, token, clock.wallMs());
    if (judged.kind === 'valid' || judged.kind === 'expired')
      return { claims: judged.claims, isDropped: false };
    const { judged: old } = judgeIdentityBy(crypto, options.droppedKeys?.() ?? [], token, clock.wallMs());
    return old.kind === 'valid' || old.kind === 'expired'
      ? { claims: old.claims, isDropped: true }
      : { isDropped: true };
  }

  /** Anybody may have made an identity with a key that was dropped: what counts is whom the ledger knew. */
  async function knownTerms(agent: string): Promise<CodeTerms> {
    const row = await options.agent(agent);
    if (row === undefined) throw refusal();
    return row;
  }

  return {
    challenge: () => ({ challenge: challenges.issue(), installation }),
    async enrol(request) {
      const { challenge, sig, kex, proof } = request;
      checkProof('enrol', challenge, sig, kex, proof);
      await checkStanding(agentId(sig));
      const terms = await termsOf(request, { installation, challenge, sig, kex });
      await register(agentId(sig), terms);
      await options.admit?.(agentId(sig));
      return {
        identity: identity(sig, kex, terms),
        installation,
        ...certifiers(),
        bus: options.busUrls(),
        ...elsewhere,
        expiresInSeconds: seconds,
      };
    },
    async renew(request) {
      const early = clock.wallMs() - RENEWABLE_SECONDS * 1000;
      const { claims, isDropped } = judgeRenewal(request.identity);
      if (claims === undefined || claims.exp * 1000 < early) throw refusal();
      const { sig, kex } = claims;
      checkProof('renew', request.challenge, sig, kex, request.proof);
      const sub = agentId(sig);
      await checkStanding(sub);
      const terms = isDropped ? await knownTerms(sub) : claims;
      await register(sub, terms);
      await options.admit?.(sub);
      return {
        identity: identity(sig, kex, terms),
        ...certifiers(),
        bus: options.busUrls(),
        ...elsewhere,
        expiresInSeconds: seconds,
      };
    },
    async issueCode(terms, validSeconds) {
      const secret = base64url(random.bytes(SECRET_BYTES));
      await codes.add(codeDigest(crypto, secret), terms, clock.wallMs() + validSeconds * 1000);
      return encodeEnrolmentCode({ url: options.publicUrl(), certifier: options.certifier.raw, secret });
    },
    pin: () => encodeInstallationPin({ url: options.publicUrl(), certifier: options.certifier.raw }),
  };
}

function revoked(): CoPilotError {
  return new CoPilotError('REVOKED', 'this agent was revoked; it needs a new key and a new code');
}

function refusal(): CoPilotError {
  return new CoPilotError(
    'ENROLMENT_REFUSED',
    'what was shown is unknown, ended, spent or not allowed here, or the proof does not hold; ask the operator',
  );
}
