import { type KeyObject, verify } from 'node:crypto';
import { nameOf } from './certificate.ts';
import { elementOf, elementsOf, hexOf, sequenceOf, TAG, timeOf } from './der.ts';
import { extensionsOf, hashOf } from './extensions.ts';

/** A list of revoked certificates (RFC 5280, section 5). */
export interface RevocationList {
  readonly issuer: readonly string[];
  readonly nextMs: number;
  /** Serial numbers in hex. */
  readonly revoked: ReadonlySet<string>;
  /** Whether the key signed it. */
  isSignedBy(key: KeyObject): boolean;
}

const EXTENSIONS_TAG = 0xa0;
const isTime = (tag: number): boolean => tag === TAG.utcTime || tag === TAG.time;

/** Throws for what is no list, for one without a next update, and for one that is not of everything its issuer revoked. */
export function readRevocationList(der: Uint8Array): RevocationList {
  const [signed, algorithm, signature] = sequenceOf(elementOf(der, TAG.sequence).whole);
  if (signed === undefined || signature?.tag !== TAG.bits) throw new Error('it is no list');
  const parts = elementsOf(signed.content).filter(({ tag }) => tag !== TAG.integer);
  const [inner, issuer, , next] = parts;
  if (hexOf(inner?.whole ?? new Uint8Array()) !== hexOf(algorithm?.whole ?? new Uint8Array()))
    throw new Error('it names two signature algorithms');
  if (next === undefined || !isTime(next.tag)) throw new Error('it does not say when the next one comes');
  const hash = hashOf(algorithm);
  const entries = parts.slice(4).find(({ tag }) => tag === TAG.sequence);
  checkExtensions(parts.find(({ tag }) => tag === EXTENSIONS_TAG)?.content);
  return {
    issuer: nameOf(issuer?.whole),
    nextMs: timeOf(next),
    revoked: new Set(elementsOf(entries?.content ?? new Uint8Array()).map(({ whole }) => serialOf(whole))),
    isSignedBy: (key) => verify(hash, signed.whole, key, signature.content.subarray(1)),
  };
}

function serialOf(entry: Uint8Array): string {
  const [serial, , extensions] = sequenceOf(entry);
  if (serial?.tag !== TAG.integer) throw new Error('an entry has no number');
  checkExtensions(extensions?.whole);
  return hexOf(serial.content);
}

/** What is critical in a list says that it is a part of one, or another's. */
function checkExtensions(list: Uint8Array | undefined): void {
  if (list === undefined) return;
  if ([...extensionsOf(elementOf(list)).values()].some(({ isCritical }) => isCritical))
    throw new Error('it is not a whole list of its issuer');
}
