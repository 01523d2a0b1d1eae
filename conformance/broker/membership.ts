import { base64url } from '../../protocol/encoding.ts';
import {
  ENROLMENT_PATHS,
  type EnrolmentChallenge,
  type EnrolmentCode,
  isEnrolled,
  isEnrolmentChallenge,
  proofBytes,
  type ProofPurpose,
} from '../../protocol/enrolment.ts';
import { isIdentity } from '../../protocol/generated/validators.js';
import type { Identity } from '../../protocol/generated/types.ts';
import type { Crypto, PrivateKey, PublicKey } from '../../protocol/runtime/runtime.ts';
import { expect, pause } from '../expectation.ts';
import { codeOf, exchange, getJson, type HttpAnswer } from '../peer/http.ts';

/** An address gets one more request in half a second (X). */
const AGAIN_MS = 600;

export interface MemberKeys {
  /** Ed25519. */
  readonly signing: PrivateKey;
  /** X25519. */
  readonly session: PrivateKey;
}

/** One of the suite's agents after its enrolment. */
export interface Membership extends MemberKeys {
  readonly code: EnrolmentCode;
  readonly installation: string;
  readonly certifier: PublicKey;
  readonly bus: readonly string[];
  readonly identity: string;
  readonly claims: Identity;
}

export function newKeys(crypto: Crypto): MemberKeys {
  return { signing: crypto.generate('ed25519'), session: crypto.generate('x25519') };
}

/** Posts as `postOnce` does, and again where the broker says that it was too often (E-12): the suite asks much of one address. */
export async function post(url: string, body: object | Uint8Array, signal: AbortSignal): Promise<HttpAnswer> {
  for (;;) {
    const answer = await postOnce(url, body, signal);
    if (answer.status !== 429) return answer;
    await pause(AGAIN_MS, signal);
  }
}

/** Posts any value, or any bytes, to an enrolment path. */
export function postOnce(url: string, body: object | Uint8Array, signal: AbortSignal): Promise<HttpAnswer> {
  const bytes = body instanceof Uint8Array ? body : new TextEncoder().encode(JSON.stringify(body));
  const headers = { 'content-type': 'application/json', 'content-length': bytes.length };
  return exchange({ method: 'POST', url, headers, body: bytes }, signal);
}

export async function askChallenge(base: string, signal: AbortSignal): Promise<EnrolmentChallenge> {
  const answer = await post(base + ENROLMENT_PATHS.challenge, {}, signal);
  const body = getJson(answer);
  expect(
    answer.status === 200 && isEnrolmentChallenge(body),
    `a challenge was answered ${answer.status} ${codeOf(answer)}, not with {"challenge", "installation"}`,
  );
  return body;
}

/** A proof of possession (E-5) in base64url. */
export function proofOf(
  crypto: Crypto,
  purpose: ProofPurpose,
  { installation, challenge }: EnrolmentChallenge,
  { signing, session }: MemberKeys,
): string {
  const sig = base64url(signing.publicKey.raw);
  const kex = base64url(session.publicKey.raw);
  return base64url(crypto.sign(signing, proofBytes(purpose, { installation, challenge, sig, kex })));
}

/** A whole enrolment request for the code (E-6). */
export async function enrolmentRequest(
  crypto: Crypto,
  code: EnrolmentCode,
  keys: MemberKeys,
  signal: AbortSignal,
): Promise<Readonly<Record<string, string>>> {
  const challenge = await askChallenge(code.url, signal);
  return {
    method: 'code',
    code: code.secret,
    challenge: challenge.challenge,
    sig: base64url(keys.signing.publicKey.raw),
    kex: base64url(keys.session.publicKey.raw),
    proof: proofOf(crypto, 'enrol', challenge, keys),
  };
}

export async function enrol(
  crypto: Crypto,
  code: EnrolmentCode,
  keys: MemberKeys,
  signal: AbortSignal,
): Promise<Membership> {
  const answer = await post(
    code.url + ENROLMENT_PATHS.enrol,
    await enrolmentRequest(crypto, code, keys, signal),
    signal,
  );
  const body = getJson(answer);
  expect(
    answer.status === 200 && isEnrolled(body),
    `enrolment was answered ${answer.status} ${codeOf(answer)}`,
  );
  return {
    ...keys,
    code,
    installation: body.installation,
    certifier: crypto.importPublic('ed25519', code.certifier),
    bus: body.bus,
    identity: body.identity,
    claims: claimsOf(body.identity),
  };
}

/** What an identity says; its signature is the broker's to check. */
export function claimsOf(identity: string): Identity {
  const claims: unknown = JSON.parse(Buffer.from(identity.split('.')[1] ?? '', 'base64url').toString('utf8'));
  expect(isIdentity(claims), 'the identity does not say what the schema of an identity asks');
  return claims;
}
