import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseTrust, TRUST_FILE, type TrustedKeys } from '../../adapters/trust.ts';
import { writeDurably } from '../../protocol/runtime/durable-file.ts';
import { accepted, firstRing, type KeyRing, parseRing, RING_FILE } from '../../broker/keys/key-ring.ts';
import { hex } from '../../protocol/encoding.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import { loadKey } from '../../protocol/runtime/key-file.ts';
import type { Crypto } from '../../protocol/runtime/runtime.ts';
import type { GeneratedBroker } from '../configuration/generated.ts';
import { frameworkRolesIn, readGenerated, roleDirectory, ROLES } from '../installation.ts';
import { readIfThere } from '../../protocol/runtime/read-if-there.ts';

/** What was made for the broker of an installation. Throws `UNREACHABLE` where there is none. */
export async function generatedBroker(directory: string): Promise<GeneratedBroker> {
  const broker = await readGenerated(directory, 'broker');
  if (broker !== undefined) return broker;
  throw new CoPilotError('UNREACHABLE', `there is no broker in ${directory}; \`co-pilot up\` makes one`);
}

/** Where a broker's signing keys lie once one was rolled. */
export function ringPath(directory: string, { keyRing }: GeneratedBroker): string {
  return keyRing ?? join(roleDirectory(directory, 'broker'), RING_FILE);
}

export async function readRing(directory: string, broker: GeneratedBroker): Promise<KeyRing> {
  const text = await readIfThere(ringPath(directory, broker));
  return text === undefined ? firstRing(broker.keys) : parseRing(text);
}

export async function writeRing(directory: string, broker: GeneratedBroker, ring: KeyRing): Promise<string> {
  const path = ringPath(directory, broker);
  await writeDurably(path, `${JSON.stringify(ring, null, 2)}\n`);
  return path;
}

/** Whom the adapters of an installation believe: as their files say, or as it was made. */
export async function readTrust(
  directory: string,
  broker: GeneratedBroker,
  crypto: Crypto,
): Promise<TrustedKeys> {
  const text = await readIfThere(join(roleDirectory(directory, 'broker'), TRUST_FILE));
  if (text !== undefined) return parseTrust(text);
  return {
    brokers: [hex(loadKey(crypto, broker.keys.session).publicKey.raw)],
    grantKeys: grantKeysOf(firstRing(broker.keys), crypto, 0),
  };
}

/** Grant keys of a ring whose word counts now, each for as long as it does. */
export function grantKeysOf(ring: KeyRing, crypto: Crypto, nowMs: number): TrustedKeys['grantKeys'] {
  return accepted(ring, 'grant', nowMs).map(({ key, countsUntilMs }) => ({
    key: hex(loadKey(crypto, key).publicKey.raw),
    untilMs: countsUntilMs,
  }));
}

/** Beside the broker, for copying, and for every adapter whose directory is here. Answers where. */
export async function writeTrust(directory: string, trust: TrustedKeys): Promise<readonly string[]> {
  const paths = [...ROLES, ...(await frameworkRolesIn(directory))]
    .map((role) => roleDirectory(directory, role))
    .filter((path) => existsSync(path))
    .map((path) => join(path, TRUST_FILE));
  for (const path of paths) await writeDurably(path, `${JSON.stringify(trust, null, 2)}\n`);
  return paths;
}
