import { base64url, bytesOf, fromBase64url, textOf } from './encoding.ts';
import { CoPilotError } from './errors.ts';
import type { Crypto, PublicKey } from './runtime/runtime.ts';

/**
 * Enrolment (docs/protocol.md, E): how an agent turns a one-use code into an identity bound to its keys, and renews it.
 * Paths are relative to the enrolment base URL; bodies and answers are JSON; errors are `{code, message}`.
 */
export const ENROLMENT_PATHS = {
  challenge: '/v1/enrol/challenge',
  enrol: '/v1/enrol',
  renew: '/v1/identity/renew',
} as const;

/** Largest body of an enrolment request or answer, in bytes. */
export const MAX_ENROLMENT_BYTES = 16 * 1024;

/** Longest one-use code as text. */
const MAX_CODE_LENGTH = 1024;

const PREFIX = 'cpc1.';
const SECRET = /^[A-Za-z0-9_-]{16,128}$/;
const CHALLENGE = /^[A-Za-z0-9_-]{16,256}$/;
const KEY = /^[A-Za-z0-9_-]{43}$/;
const INSTALLATION = /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/;
const IDENTITY = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
const MAX_IDENTITY_LENGTH = 900;
const MAX_URL_LENGTH = 512;
const MAX_BUSES = 8;

/** What a one-use code says: where to enrol, whom to believe, and the secret that is spent. */
export interface EnrolmentCode {
  /** Base URL of the enrolment end point, without a trailing slash. */
  readonly url: string;
  /** The certifier's Ed25519 public key, raw: every certificate of a broker instance is signed by it. */
  readonly certifier: Uint8Array;
  /** At least 96 random bits in base64url; spent by the first success. */
  readonly secret: string;
}

/** Answer to a request for a challenge. */
export interface EnrolmentChallenge {
  readonly challenge: string;
  readonly installation: string;
}

/** Body of an enrolment by one-use code. */
export interface EnrolmentRequest {
  readonly method: 'code';
  readonly code: string;
  readonly challenge: string;
  /** Raw Ed25519 public key in base64url. */
  readonly sig: string;
  /** Raw X25519 public key in base64url. */
  readonly kex: string;
  readonly proof: string;
}

/** Answer to an enrolment. */
export interface Enrolled {
  readonly identity: string;
  readonly installation: string;
  /** The certifier's raw key in base64url; equals the one the code pinned. */
  readonly certifier: string;
  readonly bus: readonly string[];
  readonly expiresInSeconds: number;
}

/** Body of a renewal: the identity that ends, and proof that its keys are still in the same hands. */
export interface RenewalRequest {
  readonly identity: string;
  readonly challenge: string;
  readonly proof: string;
}

/** Answer to a renewal. */
export interface RenewedIdentity {
  readonly identity: string;
  readonly certifier: string;
  /** Where the buses are now; where it is left out they are where they were. */
  readonly bus?: readonly string[];
  readonly expiresInSeconds: number;
}

/** The two statements a proof of possession is made over. */
export type ProofPurpose = 'enrol' | 'renew';

/** What a proof binds: one purpose, one installation, one challenge, both keys (base64url). */
export interface ProofFields {
  readonly installation: string;
  readonly challenge: string;
  readonly sig: string;
  readonly kex: string;
}

/** The bytes an agent signs with its Ed25519 key. No field can hold a line break, so no two statements give the same bytes. */
export function proofBytes(purpose: ProofPurpose, fields: ProofFields): Uint8Array {
  const { installation, challenge, sig, kex } = fields;
  return bytesOf(`co-pilot-${purpose}-1\n${installation}\n${challenge}\n${sig}\n${kex}\n`);
}

/** Whether the proof was made by the key over exactly these fields; false for anything malformed. */
export function verifyProof(
  crypto: Crypto,
  key: PublicKey,
  purpose: ProofPurpose,
  fields: ProofFields,
  proof: string,
): boolean {
  const signature = fromBase64url(proof);
  return signature !== undefined && crypto.verify(key, proofBytes(purpose, fields), signature);
}

/** The code as the text a person hands over: `cpc1.` and base64url. */
export function encodeEnrolmentCode(code: EnrolmentCode): string {
  const json = JSON.stringify({ u: code.url, k: base64url(code.certifier), c: code.secret });
  return `${PREFIX}${base64url(bytesOf(json))}`;
}

/** Throws `INVALID_CODE`; the message never repeats the code. */
export function decodeEnrolmentCode(text: string): EnrolmentCode {
  const fields = codeFields(text.trim());
  const url = boundedString(fields?.['u'], MAX_URL_LENGTH);
  const key = matching(fields?.['k'], KEY);
  const secret = matching(fields?.['c'], SECRET);
  const certifier = key === undefined ? undefined : fromBase64url(key);
  if (url === undefined || !isWebUrl(url) || certifier?.length !== 32 || secret === undefined)
    throw new CoPilotError('INVALID_CODE', 'this is no enrolment code; it begins with cpc1. and is one word');
  return { url: url.replace(/\/+$/, ''), certifier, secret };
}

export function isEnrolmentChallenge(value: unknown): value is EnrolmentChallenge {
  if (!isRecord(value)) return false;
  return isMatch(value['challenge'], CHALLENGE) && isMatch(value['installation'], INSTALLATION);
}

export function isEnrolmentRequest(value: unknown): value is EnrolmentRequest {
  if (!isRecord(value) || value['method'] !== 'code') return false;
  return (
    isMatch(value['code'], SECRET) &&
    isMatch(value['challenge'], CHALLENGE) &&
    isMatch(value['sig'], KEY) &&
    isMatch(value['kex'], KEY) &&
    isSignature(value['proof'])
  );
}

export function isEnrolled(value: unknown): value is Enrolled {
  return (
    isRenewedIdentity(value) &&
    value.bus !== undefined &&
    'installation' in value &&
    isMatch(value.installation, INSTALLATION)
  );
}

function isBusList(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.length <= MAX_BUSES &&
    value.every((url) => boundedString(url, MAX_URL_LENGTH) !== undefined)
  );
}

export function isRenewalRequest(value: unknown): value is RenewalRequest {
  if (!isRecord(value)) return false;
  return (
    isIdentityText(value['identity']) && isMatch(value['challenge'], CHALLENGE) && isSignature(value['proof'])
  );
}

export function isRenewedIdentity(value: unknown): value is RenewedIdentity {
  if (!isRecord(value)) return false;
  const { expiresInSeconds: seconds, bus } = value;
  return (
    (bus === undefined || isBusList(bus)) &&
    isIdentityText(value['identity']) &&
    isMatch(value['certifier'], KEY) &&
    typeof seconds === 'number' &&
    seconds > 0 &&
    seconds <= 31_536_000
  );
}

function codeFields(text: string): Readonly<Record<string, unknown>> | undefined {
  if (text.length > MAX_CODE_LENGTH || !text.startsWith(PREFIX)) return undefined;
  const bytes = fromBase64url(text.slice(PREFIX.length));
  if (bytes === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(textOf(bytes));
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined; // not JSON: the caller says that it is no code
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isMatch(value: unknown, pattern: RegExp): value is string {
  return typeof value === 'string' && value.length <= MAX_URL_LENGTH && pattern.test(value);
}

function matching(value: unknown, pattern: RegExp): string | undefined {
  return isMatch(value, pattern) ? value : undefined;
}

function isSignature(value: unknown): value is string {
  return isMatch(value, /^[A-Za-z0-9_-]{86}$/);
}

function isIdentityText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_IDENTITY_LENGTH && IDENTITY.test(value);
}

function boundedString(value: unknown, max: number): string | undefined {
  return typeof value === 'string' && value.length > 0 && value.length <= max ? value : undefined;
}

function isWebUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && (url.protocol === 'http:' || url.protocol === 'https:');
}
