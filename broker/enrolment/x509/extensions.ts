import { type Element, elementsOf, hexOf, sequenceOf, TAG } from './der.ts';

export interface Extension {
  readonly isCritical: boolean;
  readonly value: Uint8Array;
}

/** Extensions by their object identifier in hex. Throws where one comes twice. */
export function extensionsOf(list: Element): ReadonlyMap<string, Extension> {
  const found = new Map<string, Extension>();
  for (const { content } of elementsOf(list.content)) {
    const parts = elementsOf(content);
    const [oid, second, third] = parts;
    const value = third ?? second;
    const flag = third === undefined ? undefined : second;
    if (oid?.tag !== TAG.oid || value?.tag !== TAG.octets || parts.length > 3)
      throw new Error('no extension');
    if (flag !== undefined && flag.tag !== TAG.boolean) throw new Error('no extension');
    const name = hexOf(oid.content);
    if (found.has(name)) throw new Error('an extension comes twice');
    found.set(name, { isCritical: flag?.content[0] === 0xff, value: value.content });
  }
  return found;
}

/** Signature algorithms that we take, by object identifier in hex: none with MD5 or SHA-1, and what hash each has. */
const ALGORITHMS: Readonly<Record<string, string | null>> = {
  '2a864886f70d01010b': 'sha256', // sha256WithRSAEncryption
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2a8648ce3d040302': 'sha256', // ecdsa-with-SHA256
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
  '2b6570': null, // Ed25519 has its own
};

/** The hash of a signature algorithm. Throws for one that is not taken. */
export function hashOf(algorithm: Element | undefined): string | null {
  const [oid] = sequenceOf(algorithm?.whole);
  const hash = ALGORITHMS[hexOf(oid?.content ?? new Uint8Array())];
  if (hash === undefined) throw new Error('it is signed in a way that is not taken');
  return hash;
}
