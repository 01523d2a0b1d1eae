import { base64url, fromBase64url } from '../protocol/encoding.ts';
import { endorsedCertifier } from '../protocol/endorsement.ts';
import {
  ENROLMENT_PATHS,
  isEnrolled,
  isEnrolmentChallenge,
  isRenewedIdentity,
  proofBytes,
} from '../protocol/enrolment.ts';
import type {
  EnrolmentChallenge,
  EnrolmentRequest,
  ProofFields,
  ProofPurpose,
  RenewedIdentity,
} from '../protocol/enrolment.ts';
import { CoPilotError, toCoPilotError } from '../protocol/errors.ts';
import type { Crypto, PrivateKey } from '../protocol/runtime/runtime.ts';
import type { EnrolmentWay } from './enrolment-way.ts';
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
  /** The one that will follow it, as it said itself. */
  readonly nextCertifier?: string;
  readonly bus: readonly string[];
  /** Where else the identity is renewed. */
  readonly elsewhere?: readonly string[];
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
 * Enrols by the way given. Rejects with `ENROLMENT_REFUSED`, `TOO_MANY_AGENTS` or `REVOKED` where the broker says no, `NOT_AUTHORIZED` where it is
 * not the one that is pinned, `UNREACHABLE` where asking again may help.
 */
export async function enrol(way: EnrolmentWay, options: EnrolOptions): Promise<Membership> {
  const { signal, post } = options;
  const certifier = base64url(way.certifier);
  const fields = proofFields(await askChallenge(way.url, options), options);
  const request: EnrolmentRequest = {
    ...(await way.credential(fields)),
    challenge: fields.challenge,
    sig: fields.sig,
    kex: fields.kex,
    proof: proofOf('enrol', fields, options),
  };
  const { status, body } = await post(way.url + ENROLMENT_PATHS.enrol, request, signal);
  if (!isEnrolled(body)) throw refusalOf(status, body);
  checkCertifier(body.certifier, certifier);
  const { identity, installation, bus, elsewhere, expiresInSeconds } = body;
  return {
    url: way.url,
    ...(elsewhere && { elsewhere }),
    installation,
    ...certifiersAfter(body, { installation, certifier }, options),
    bus,
    identity,
    expiresInSeconds,
    obtainedMs: options.nowMs(),
  };
}

/**
 * Renews the identity by the proof that its keys are still ours: where it came from, and where nobody answers there at the next place that
 * it was told of. Rejects as `enrol` does.
 */
export async function renewIdentity(membership: Membership, options: EnrolOptions): Promise<Membership> {
  const places = placesOf(membership);
  for (const place of places.slice(0, -1)) {
    const renewed = await renewAt(place, membership, options).catch(unlessSilent);
    if (renewed !== undefined) return renewed;
  }
  return renewAt(places.at(-1) ?? membership.url, membership, options);
}

function placesOf({ url, elsewhere = [] }: Membership): readonly string[] {
  return [url, ...elsewhere];
}

function unlessSilent(caught: unknown): undefined {
  if (toCoPilotError(caught).code !== 'UNREACHABLE') throw caught;
}

async function renewAt(url: string, membership: Membership, options: EnrolOptions): Promise<Membership> {
  const challenge = await askChallenge(url, options);
  if (challenge.installation !== membership.installation)
    throw new CoPilotError('NOT_AUTHORIZED', 'the enrolment address serves another installation now');
  const { status, body } = await options.post(
    url + ENROLMENT_PATHS.renew,
    {
      identity: membership.identity,
      challenge: challenge.challenge,
      proof: proofOf('renew', proofFields(challenge, options), options),
    },
    options.signal,
  );
  if (!isRenewedIdentity(body)) throw refusalOf(status, body);
  checkCertifier(body.certifier, membership.certifier, membership.nextCertifier);
  const { identity, expiresInSeconds, bus = membership.bus } = body;
  const others = body.elsewhere ?? placesOf(membership).filter((place) => place !== url);
  return {
    url,
    ...(others.length > 0 && { elsewhere: others }),
    installation: membership.installation,
    bus,
    ...certifiersAfter(body, membership, options),
    identity,
    expiresInSeconds,
    obtainedMs: options.nowMs(),
  };
}

async function askChallenge(url: string, { post, signal }: EnrolOptions): Promise<EnrolmentChallenge> {
  const { status, body } = await post(url + ENROLMENT_PATHS.challenge, {}, signal);
  if (!isEnrolmentChallenge(body)) throw refusalOf(status, body);
  return body;
}

function proofFields({ installation, challenge }: EnrolmentChallenge, { keys }: EnrolOptions): ProofFields {
  const sig = base64url(keys.signing.publicKey.raw);
  const kex = base64url(keys.session.publicKey.raw);
  return { installation, challenge, sig, kex };
}

function proofOf(purpose: ProofPurpose, fields: ProofFields, { keys, crypto }: EnrolOptions): string {
  return base64url(crypto.sign(keys.signing, proofBytes(purpose, fields)));
}

/** Whom to believe from now on: the certifier that answered, and the one that it says will follow it. */
function certifiersAfter(
  { certifier, endorsement }: Pick<RenewedIdentity, 'certifier' | 'endorsement'>,
  { installation }: Pick<Membership, 'installation' | 'certifier'>,
  { crypto, nowMs }: EnrolOptions,
): Pick<Membership, 'certifier' | 'nextCertifier'> {
  if (endorsement === undefined) return { certifier };
  const key = crypto.importPublic('ed25519', fromBase64url(certifier) ?? new Uint8Array());
  const next = endorsedCertifier(crypto, key, { token: endorsement, installation, wallMs: nowMs() });
  return next === undefined ? { certifier } : { certifier, nextCertifier: next };
}

function checkCertifier(answered: string, ...pinned: readonly (string | undefined)[]): void {
  if (pinned.includes(answered)) return;
  throw new CoPilotError(
    'NOT_AUTHORIZED',
    'the enrolment answered with another certifier than the one that is pinned',
  );
}

/** What an answer that is none means: the broker's refusal, or its trouble of the moment. */
function refusalOf(status: number, body: unknown): CoPilotError {
  const { code, message } = errorFields(body);
  if (code === 'REVOKED' || code === 'TOO_MANY_AGENTS') return new CoPilotError(code, message);
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
