import { type BoincAccount, isBoincAccount } from './boinc-account.ts';
import { base64url, bytesOf, fromBase64url, textOf } from './encoding.ts';
import { CoPilotError } from './errors.ts';
import type { Crypto, PublicKey } from './runtime/runtime.ts';

/**
 * Enrolment (docs/protocol.md, E): how an agent turns a credential into an identity bound to its keys, and renews it.
 * Paths are relative to the enrolment base URL; bodies and answers are JSON; errors are `{code, message}`.
 */
export const ENROLMENT_PATHS = {
  challenge: '/v1/enrol/challenge',
  enrol: '/v1/enrol',
  renew: '/v1/identity/renew',
} as const;

/** Largest body of an enrolment request or answer, in bytes. */
export const MAX_ENROLMENT_BYTES = 16 * 1024;

/** Longest one-use code, and longest pin, as text. */
const MAX_CODE_LENGTH = 1024;

const CODE_PREFIX = 'cpc1.';
const PIN_PREFIX = 'cpi1.';
const SECRET = /^[A-Za-z0-9_-]{16,128}$/;
const CHALLENGE = /^[A-Za-z0-9_-]{16,256}$/;
const KEY = /^[A-Za-z0-9_-]{43}$/;
const INSTALLATION = /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/;
const COMPACT_JWS = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
const MAX_IDENTITY_LENGTH = 900;
/** Most certificates that are shown at once. */
export const MAX_CHAIN = 8;
const MAX_CERTIFICATE_LENGTH = 8 * 1024;
const MAX_TOKEN_LENGTH = 8 * 1024;
const MAX_URL_LENGTH = 512;
const MAX_URLS = 8;

/** Where to enrol and whom to believe; no secret. */
export interface InstallationPin {
  /** Base URL of the enrolment end point, without a trailing slash. */
  readonly url: string;
  /** The certifier's Ed25519 public key, raw: every certificate of a broker instance is signed by it. */
  readonly certifier: Uint8Array;
}

/** What a one-use code says: the installation's pin, and the secret that is spent. */
export interface EnrolmentCode extends InstallationPin {
  /** At least 96 random bits in base64url; spent by the first success. */
  readonly secret: string;
}

/** Answer to a request for a challenge. */
export interface EnrolmentChallenge {
  readonly challenge: string;
  readonly installation: string;
}

/** What shows who asks, by the method of showing it. */
export interface EnrolmentCredentials {
  readonly code: { readonly code: string };
  /** An OpenID Connect access token. */
  readonly oidc: { readonly token: string };
  readonly x509: CertificateCredential;
  readonly boinc: BoincAccount;
}

/** A client certificate, and what its key signed (`certificateStatement`). */
export interface CertificateCredential {
  /** DER in base64url: the certificate, then those between it and its authority, each signed by the next. */
  readonly chain: readonly string[];
  readonly signature: string;
}

export type EnrolmentMethodName = keyof EnrolmentCredentials;

export type EnrolmentCredential<Name extends EnrolmentMethodName = EnrolmentMethodName> = {
  readonly [Each in Name]: { readonly method: Each } & EnrolmentCredentials[Each];
}[Name];

/** Body of an enrolment: a credential, and proof of the keys that the identity is to be bound to. */
export type EnrolmentRequest<Name extends EnrolmentMethodName = EnrolmentMethodName> =
  EnrolmentCredential<Name> & EnrolmentProof;

export interface EnrolmentProof {
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
  /** Other places that renew the identity. */
  readonly elsewhere?: readonly string[];
  readonly expiresInSeconds: number;
  /** The certifier's signed word for the one that will follow it (protocol/endorsement.ts). */
  readonly endorsement?: string;
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
  readonly elsewhere?: readonly string[];
  readonly expiresInSeconds: number;
  readonly endorsement?: string;
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

/** What the key of a certificate signs: the fields of the proof, under a name of its own. */
export function certificateStatement({ installation, challenge, sig, kex }: ProofFields): string {
  return `co-pilot-certificate-1\n${installation}\n${challenge}\n${sig}\n${kex}\n`;
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
  return `${CODE_PREFIX}${base64url(bytesOf(json))}`;
}

/** The pin as text that may be published: `cpi1.` and base64url. */
export function encodeInstallationPin({ url, certifier }: InstallationPin): string {
  return `${PIN_PREFIX}${base64url(bytesOf(JSON.stringify({ u: url, k: base64url(certifier) })))}`;
}

/** Throws `INVALID_CODE`; the message never repeats the code. */
export function decodeEnrolmentCode(text: string): EnrolmentCode {
  const fields = wrappedFields(text.trim(), CODE_PREFIX);
  const pin = pinOf(fields);
  const secret = matching(fields?.['c'], SECRET);
  if (pin === undefined || secret === undefined)
    throw new CoPilotError('INVALID_CODE', 'this is no enrolment code; it begins with cpc1. and is one word');
  return { ...pin, secret };
}

/** Throws `INVALID_CODE`. */
export function decodeInstallationPin(text: string): InstallationPin {
  const pin = pinOf(wrappedFields(text.trim(), PIN_PREFIX));
  if (pin === undefined)
    throw new CoPilotError(
      'INVALID_CODE',
      'this names no installation; what does begins with cpi1. and is one word',
    );
  return pin;
}

function pinOf(fields: Fields | undefined): InstallationPin | undefined {
  const url = boundedString(fields?.['u'], MAX_URL_LENGTH);
  const key = matching(fields?.['k'], KEY);
  const certifier = key === undefined ? undefined : fromBase64url(key);
  if (url === undefined || !isWebUrl(url) || certifier?.length !== 32) return undefined;
  return { url: url.replace(/\/+$/, ''), certifier };
}

export function isEnrolmentChallenge(value: unknown): value is EnrolmentChallenge {
  if (!isRecord(value)) return false;
  return isMatch(value['challenge'], CHALLENGE) && isMatch(value['installation'], INSTALLATION);
}

/** Whether the fields are a credential of the method, by method. */
const CREDENTIALS: Readonly<Record<EnrolmentMethodName, (fields: Fields) => boolean>> = {
  code: ({ code }) => isMatch(code, SECRET),
  oidc: ({ token }) => isAccessToken(token),
  x509: ({ chain, signature }) =>
    Array.isArray(chain) &&
    chain.length > 0 &&
    chain.length <= MAX_CHAIN &&
    chain.every((text) => isBase64url(text, MAX_CERTIFICATE_LENGTH)) &&
    isBase64url(signature, MAX_CERTIFICATE_LENGTH),
  boinc: isBoincAccount,
};

function isBase64url(value: unknown, max: number): boolean {
  return typeof value === 'string' && value.length <= max && /^[A-Za-z0-9_-]+$/.test(value);
}

/** Whether a text may be an access token as an enrolment carries it: a compact JWS of at most 8 KiB. */
export function isAccessToken(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TOKEN_LENGTH && COMPACT_JWS.test(value);
}

export function isEnrolmentRequest(value: unknown): value is EnrolmentRequest {
  if (!isRecord(value)) return false;
  const { method } = value;
  if (typeof method !== 'string' || !Object.hasOwn(CREDENTIALS, method)) return false;
  return CREDENTIALS[method as EnrolmentMethodName](value) && hasProof(value);
}

function hasProof(value: Fields): boolean {
  return (
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
  return isUrlList(value) && value.length > 0;
}

function isUrlList(value: unknown): value is readonly unknown[] {
  return (
    Array.isArray(value) &&
    value.length <= MAX_URLS &&
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
  const { expiresInSeconds: seconds, bus, elsewhere } = value;
  return (
    (bus === undefined || isBusList(bus)) &&
    (elsewhere === undefined || isUrlList(elsewhere)) &&
    isIdentityText(value['identity']) &&
    isMatch(value['certifier'], KEY) &&
    (value['endorsement'] === undefined || isIdentityText(value['endorsement'])) &&
    typeof seconds === 'number' &&
    seconds > 0 &&
    seconds <= 31_536_000
  );
}

type Fields = Readonly<Record<string, unknown>>;

function wrappedFields(text: string, prefix: string): Fields | undefined {
  if (text.length > MAX_CODE_LENGTH || !text.startsWith(prefix)) return undefined;
  const bytes = fromBase64url(text.slice(prefix.length));
  if (bytes === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(textOf(bytes));
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined; // not JSON: the caller says that it is no code
  }
}

function isRecord(value: unknown): value is Fields {
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
  return typeof value === 'string' && value.length <= MAX_IDENTITY_LENGTH && COMPACT_JWS.test(value);
}

function boundedString(value: unknown, max: number): string | undefined {
  return typeof value === 'string' && value.length > 0 && value.length <= max ? value : undefined;
}

function isWebUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && (url.protocol === 'http:' || url.protocol === 'https:');
}
