import { type KeyObject, X509Certificate } from 'node:crypto';
import { elementOf, elementsOf, hexOf, sequenceOf, smallNumber, TAG, timeOf } from './der.ts';
import { type Extension, extensionsOf, hashOf } from './extensions.ts';

/** What judging a path needs of a certificate (RFC 5280, RFC 3820). OpenSSL has read it whole; names are compared by their bytes. */
export interface Certificate {
  readonly x509: X509Certificate;
  /** From the root on, as `DC=org,DC=example,CN=Jane Doe`, with `,` and the like escaped. */
  readonly subjectText: string;
  /** Parts of the names as they are written in it. */
  readonly subject: readonly string[];
  readonly issuer: readonly string[];
  readonly serial: string;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly isAuthority: boolean;
  /** Authorities below it, at most. */
  readonly pathLength: number;
  /** Undefined where it does not say what its key is for. */
  readonly usage: number | undefined;
  readonly proxy: ProxyInformation | undefined;
}

/** RFC 3820, section 3.8. */
export interface ProxyInformation {
  /** Proxies below it, at most. */
  readonly pathLength: number;
  /** Object identifier of the policy's language, in hex. */
  readonly language: string;
}

/** Bits of the key usage. */
export const USAGE = { signs: 0x80, signsCertificates: 0x04, signsLists: 0x02 } as const;

const BASIC_CONSTRAINTS = '551d13';
const KEY_USAGE = '551d0f';
const EXTENDED_USAGE = '551d25';
const NAME_CONSTRAINTS = '551d1e';
const PROXY_INFORMATION = '2b0601050507010e';
const KNOWN = new Set([BASIC_CONSTRAINTS, KEY_USAGE, EXTENDED_USAGE, PROXY_INFORMATION]);
const CLIENT_USAGES = ['1.3.6.1.5.5.7.3.2', '2.5.29.37.0'];
const EXTENSIONS_TAG = 0xa3;
const VERSION_TAG = 0xa0;
const MIN_RSA_BITS = 2_048;
const MAX_RSA_BITS = 8_192;
const CURVES = ['prime256v1', 'secp384r1', 'secp521r1'];

/** Throws for what is no certificate, and for one that says what we could not honour. */
export function readCertificate(der: Uint8Array): Certificate {
  const x509 = new X509Certificate(der);
  const [signed, algorithm] = sequenceOf(x509.raw);
  const parts = sequenceOf(signed?.whole).filter(({ tag }) => tag !== VERSION_TAG);
  const [serial, inner, issuer, validity, subject] = parts;
  if (hexOf(inner?.whole ?? new Uint8Array()) !== hexOf(algorithm?.whole ?? new Uint8Array()))
    throw new Error('it names two signature algorithms');
  hashOf(algorithm);
  checkKey(x509.publicKey);
  const [from, until] = sequenceOf(validity?.whole);
  if (from === undefined || until === undefined) throw new Error('it has no time');
  const list = parts.find(({ tag }) => tag === EXTENSIONS_TAG);
  const extensions = extensionsOf(elementOf(list?.content ?? Uint8Array.of(TAG.sequence, 0)));
  checkExtensions(extensions, x509);
  return {
    x509,
    subjectText: x509.subject.split('\n').join(','),
    subject: nameOf(subject?.whole),
    issuer: nameOf(issuer?.whole),
    serial: hexOf(serial?.content ?? new Uint8Array()),
    fromMs: timeOf(from),
    untilMs: timeOf(until),
    ...constraintsOf(extensions.get(BASIC_CONSTRAINTS)),
    usage: usageOf(extensions.get(KEY_USAGE)),
    proxy: proxyOf(extensions.get(PROXY_INFORMATION)),
  };
}

export function nameOf(name: Uint8Array | undefined): readonly string[] {
  return sequenceOf(name).map(({ whole }) => hexOf(whole));
}

export function isSameName(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((part, at) => part === other[at]);
}

function checkKey({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): void {
  const bits = details?.modulusLength ?? 0;
  if (type === 'ed25519') return;
  if (type === 'rsa' && bits >= MIN_RSA_BITS && bits <= MAX_RSA_BITS) return;
  if (type === 'ec' && CURVES.includes(details?.namedCurve ?? '')) return;
  throw new Error('its key is of a kind that is not taken');
}

/** What is critical and unknown must be refused, and names that an authority is bound to are not followed here. */
function checkExtensions(extensions: ReadonlyMap<string, Extension>, x509: X509Certificate): void {
  for (const [name, { isCritical }] of extensions)
    if ((isCritical && !KNOWN.has(name)) || name === NAME_CONSTRAINTS)
      throw new Error('it has an extension that cannot be honoured here');
  // Node calls the extended usages by this name, and has none where there are none, whatever its types say.
  const usages = x509.keyUsage as readonly string[] | undefined;
  if (extensions.has(EXTENDED_USAGE) && !(usages ?? []).some((usage) => CLIENT_USAGES.includes(usage)))
    throw new Error('it is not for clients');
}

function constraintsOf(extension: Extension | undefined) {
  if (extension === undefined) return { isAuthority: false, pathLength: 0 };
  const [flag, length] = sequenceOf(extension.value);
  const isAuthority = flag?.tag === TAG.boolean && flag.content[0] === 0xff;
  return { isAuthority, pathLength: length === undefined ? Infinity : smallNumber(length) };
}

function usageOf(extension: Extension | undefined): number | undefined {
  if (extension === undefined) return undefined;
  const { content } = elementOf(extension.value, TAG.bits);
  return content[1] ?? 0;
}

function proxyOf(extension: Extension | undefined): ProxyInformation | undefined {
  if (extension === undefined) return undefined;
  if (!extension.isCritical) throw new Error('it is a proxy and does not say so plainly');
  const parts = sequenceOf(extension.value);
  const [first] = parts;
  const length = first?.tag === TAG.integer ? first : undefined;
  const [language] = elementsOf((length === undefined ? first : parts[1])?.content ?? new Uint8Array());
  if (language?.tag !== TAG.oid) throw new Error('it is a proxy without a policy');
  return {
    pathLength: length === undefined ? Infinity : smallNumber(length),
    language: hexOf(language.content),
  };
}
