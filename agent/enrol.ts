import { base64url } from '../protocol/encoding.ts';
import {
  ENROLMENT_PATHS,
  isEnrolled,
  isEnrolmentChallenge,
  isRenewedIdentity,
  proofBytes,
} from '../protocol/enrolment.ts';
import type { EnrolmentChallenge, EnrolmentCode, ProofPurpose } from '../protocol/enrolment.ts';
import { CoPilotError } from '../protocol/errors.ts';
import type { Crypto, PrivateKey } from '../protocol/runtime/runtime.ts';
import type { PostJson } from './http-json.ts';

/** An agent's two key pairs; they are made here and never leave. */
export interface AgentKeys {
  /** Ed25519. */
  readonly signing: PrivateKey;
  /** X25519. */
  readonly session: PrivateKey;
}

/** What enrolment gave: the identity, whom to believe, and where everything is. */
export interface Membership {
  readonly url: string;
  readonly installation: string;
  /** The certifier's raw Ed25519 key in base64url. */
  readonly certifier: string;
  readonly bus: readonly string[];
  readonly identity: string;
  readonly expiresInSeconds: number;
  /** When this identity was got, on this machine's wall clock. */
  readonly obtainedMs: number;
}

export interface EnrolOptions {
  readonly keys: AgentKeys;
  readonly crypto: Crypto;
  readonly post: PostJson;
  readonly nowMs: () => number;
  readonly signal: AbortSignal;
}

/**
 * Spends a one-use code. Rejects with `ENROLMENT_REFUSED` or `REVOKED` where the broker says no, `NOT_AUTHORIZED` where it is
 * not the one the code pins, `UNREACHABLE` where asking again may help.
 */
export async function enrol(code: EnrolmentCode, options: EnrolOptions): Promise<Membership> {
  const { keys, signal, post } = options;
  const certifier = base64url(code.certifier);
  const challenge = await askChallenge(code.url, options);
  const { status, body } = await post(
    code.url + ENROLMENT_PATHS.enrol,
    {
      method: 'code',
      code: code.secret,
      challenge: challenge.challenge,
      sig: base64url(keys.signing.publicKey.raw),
      kex: base64url(keys.session.publicKey.raw),
      proof: proofOf('enrol', challenge, options),
    },
    signal,
  );
  if (!isEnrolled(body)) throw refusalOf(status, body);
  checkCertifier(body.certifier, certifier);
  const { identity, installation, bus, expiresInSeconds } = body;
  return {
    url: code.url,
    installation,
    certifier,
    bus,
    identity,
    expiresInSeconds,
    obtainedMs: options.nowMs(),
  };
}

/** Renews the identity by the proof that its keys are still ours. Rejects as `enrol` does. */
export async function renewIdentity(membership: Membership, options: EnrolOptions): Promise<Membership> {
  const challenge = await askChallenge(membership.url, options);
  if (challenge.installation !== membership.installation)
    throw new CoPilotError('NOT_AUTHORIZED', 'the enrolment address serves another installation now');
  const { status, body } = await options.post(
    membership.url + ENROLMENT_PATHS.renew,
    {
      identity: membership.identity,
      challenge: challenge.challenge,
      proof: proofOf('renew', challenge, options),
    },
    options.signal,
  );
  if (!isRenewedIdentity(body)) throw refusalOf(status, body);
  checkCertifier(body.certifier, membership.certifier);
  const { identity, expiresInSeconds, bus = membership.bus } = body;
  return { ...membership, bus, identity, expiresInSeconds, obtainedMs: options.nowMs() };
}

async function askChallenge(url: string, { post, signal }: EnrolOptions): Promise<EnrolmentChallenge> {
  const { status, body } = await post(url + ENROLMENT_PATHS.challenge, {}, signal);
  if (!isEnrolmentChallenge(body)) throw refusalOf(status, body);
  return body;
}

function proofOf(
  purpose: ProofPurpose,
  { installation, challenge }: EnrolmentChallenge,
  { keys, crypto }: EnrolOptions,
): string {
  const sig = base64url(keys.signing.publicKey.raw);
  const kex = base64url(keys.session.publicKey.raw);
  const statement = proofBytes(purpose, { installation, challenge, sig, kex });
  return base64url(crypto.sign(keys.signing, statement));
}

function checkCertifier(answered: string, pinned: string): void {
  if (answered === pinned) return;
  throw new CoPilotError(
    'NOT_AUTHORIZED',
    'the enrolment answered with another certifier than the code pins',
  );
}

/** What an answer that is none means: the broker's refusal, or its trouble of the moment. */
function refusalOf(status: number, body: unknown): CoPilotError {
  const { code, message } = errorFields(body);
  if (code === 'REVOKED') return new CoPilotError('REVOKED', message);
  if (status >= 400 && status < 500 && status !== 408 && status !== 429)
    return new CoPilotError('ENROLMENT_REFUSED', message);
  return new CoPilotError('UNREACHABLE', `the enrolment answered ${status}: ${message}`);
}

function errorFields(body: unknown): { readonly code: string; readonly message: string } {
  const fields = typeof body === 'object' && body !== null ? body : {};
  const code = 'code' in fields && typeof fields.code === 'string' ? fields.code : '';
  const message =
    'message' in fields && typeof fields.message === 'string' ? fields.message : 'it gave no reason';
  return { code, message: message.replace(/\p{Cc}+/gu, ' ').slice(0, 512) };
}
