import { agentIdOf } from '../../protocol/agent-id.ts';
import { base64url, fromBase64url } from '../../protocol/encoding.ts';
import type {
  EnrolmentRequest,
  RenewalRequest,
  RenewedIdentity,
  Enrolled,
} from '../../protocol/enrolment.ts';
import { encodeEnrolmentCode, verifyProof } from '../../protocol/enrolment.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import type { PrivateKey, PublicKey, Runtime } from '../../protocol/runtime/runtime.ts';
import { judgeIdentity, signIdentity } from '../../protocol/tokens.ts';
import type { AgentRow } from '../core/state.ts';
import { codeDigest, createChallenges } from './challenge.ts';
import type { CodeStore, CodeTerms } from './code-store.ts';

export interface EnrolmentOptions {
  readonly runtime: Runtime;
  readonly installation: string;
  /** P-256; its public half is what brokers and buses check identities with. */
  readonly identityKey: PrivateKey;
  /** Ed25519; certifies broker instances. */
  readonly certifier: PublicKey;
  readonly codes: CodeStore;
  /** Where agents reach the enrolment, and the buses. */
  readonly publicUrl: () => string;
  readonly busUrls: () => readonly string[];
  readonly agent: (id: string) => Promise<AgentRow | undefined>;
  /** Makes room on the bus for an agent that has just shown to be one. */
  readonly admit?: (agent: string) => Promise<void>;
  readonly identitySeconds?: number;
}

/** Turns one-use codes into identities bound to keys, and renews them. */
export interface Enrolment {
  challenge(): { readonly challenge: string; readonly installation: string };
  /** Rejects with `ENROLMENT_REFUSED`, the same for every reason that could be probed. */
  enrol(request: EnrolmentRequest): Promise<Enrolled>;
  /** Rejects with `ENROLMENT_REFUSED` or `REVOKED`. */
  renew(request: RenewalRequest): Promise<RenewedIdentity>;
  /** A new code as the text a person hands over; valid for `seconds`. */
  issueCode(terms: CodeTerms, seconds: number): Promise<string>;
}

const IDENTITY_SECONDS = 24 * 3600;
/** An identity may be renewed this long after its end. */
const RENEWABLE_SECONDS = 7 * 24 * 3600;
const SECRET_BYTES = 18;

export function createEnrolment(options: EnrolmentOptions): Enrolment {
  const { runtime, installation, identityKey, codes } = options;
  const { crypto, clock, random } = runtime;
  const seconds = options.identitySeconds ?? IDENTITY_SECONDS;
  const challenges = createChallenges(crypto, random, clock);
  const certifier = base64url(options.certifier.raw);

  function identity(sig: string, kex: string, { owner, site, tier }: CodeTerms): string {
    const iat = Math.floor(clock.wallMs() / 1000);
    const sub = agentId(sig);
    return signIdentity(crypto, identityKey, {
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
    if (row?.status === 'revoked' || row?.status === 'quarantined')
      throw new CoPilotError('REVOKED', 'this agent was revoked; it needs a new key and a new code');
  }

  return {
    challenge: () => ({ challenge: challenges.issue(), installation }),
    async enrol({ code, challenge, sig, kex, proof }) {
      checkProof('enrol', challenge, sig, kex, proof);
      await checkStanding(agentId(sig));
      const spent = await codes.spend(codeDigest(crypto, code), sig, clock.wallMs());
      if (spent.kind === 'refused') throw refusal();
      await options.admit?.(agentId(sig));
      return {
        identity: identity(sig, kex, spent.terms),
        installation,
        certifier,
        bus: options.busUrls(),
        expiresInSeconds: seconds,
      };
    },
    async renew(request) {
      const early = clock.wallMs() - RENEWABLE_SECONDS * 1000;
      const judged = judgeIdentity(crypto, identityKey.publicKey, request.identity, clock.wallMs());
      if (judged.kind === 'invalid' || judged.kind === 'early' || judged.claims.exp * 1000 < early)
        throw refusal();
      const { sig, kex, sub, owner, site, tier } = judged.claims;
      checkProof('renew', request.challenge, sig, kex, request.proof);
      await checkStanding(sub);
      await options.admit?.(sub);
      return {
        identity: identity(sig, kex, { owner, site, tier }),
        certifier,
        bus: options.busUrls(),
        expiresInSeconds: seconds,
      };
    },
    async issueCode(terms, validSeconds) {
      const secret = base64url(random.bytes(SECRET_BYTES));
      await codes.add(codeDigest(crypto, secret), terms, clock.wallMs() + validSeconds * 1000);
      return encodeEnrolmentCode({ url: options.publicUrl(), certifier: options.certifier.raw, secret });
    },
  };
}

function refusal(): CoPilotError {
  return new CoPilotError(
    'ENROLMENT_REFUSED',
    'the code is unknown, ended or spent, or the proof does not hold; ask for a new code',
  );
}
