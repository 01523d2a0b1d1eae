import { chmod, open } from 'node:fs/promises';
import { join } from 'node:path';
import { isEnrolled } from '../../protocol/enrolment.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import { loadKey, storeKey } from '../../protocol/runtime/key-file.ts';
import type { StoredKey } from '../../protocol/runtime/key-file.ts';
import type { Crypto } from '../../protocol/runtime/runtime.ts';
import type { AgentKeys, Membership } from '../enrol.ts';
import { syncDirectory, writeDurably } from '../../protocol/runtime/durable-file.ts';
import { readIfThere } from '../../protocol/runtime/read-if-there.ts';

const KEYS_FILE = 'keys.json';
const MEMBERSHIP_FILE = 'identity.json';

/** What no job may read. */
export function secretFiles(directory: string): readonly string[] {
  return [join(directory, KEYS_FILE), join(directory, MEMBERSHIP_FILE)];
}

/** The agent's keys, made once. Throws `AGENT_CORRUPT` where they are there and cannot be read: they are never replaced unasked. */
export async function openKeys(directory: string, crypto: Crypto): Promise<AgentKeys> {
  const path = join(directory, KEYS_FILE);
  const text = await readIfThere(path);
  if (text === undefined) return makeKeys(directory, path, crypto);
  // A copy or a restored backup may have lost the mode.
  await chmod(path, 0o600);
  return readKeys(path, text, crypto);
}

/** Undefined where the agent has not enrolled yet, or what it kept cannot be read: enrolling again gives it anew. */
export async function loadMembership(directory: string): Promise<Membership | undefined> {
  const path = join(directory, MEMBERSHIP_FILE);
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  await chmod(path, 0o600);
  try {
    const value: unknown = JSON.parse(text);
    return isMembership(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export async function saveMembership(directory: string, membership: Membership): Promise<void> {
  await writeDurably(join(directory, MEMBERSHIP_FILE), JSON.stringify(membership));
}

async function makeKeys(directory: string, path: string, crypto: Crypto): Promise<AgentKeys> {
  const keys: AgentKeys = { signing: crypto.generate('ed25519'), session: crypto.generate('x25519') };
  const stored = { signing: storeKey(crypto, keys.signing), session: storeKey(crypto, keys.session) };
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(JSON.stringify(stored));
    await file.sync();
  } finally {
    await file.close();
  }
  await syncDirectory(directory);
  return keys;
}

function readKeys(path: string, text: string, crypto: Crypto): AgentKeys {
  try {
    const value: unknown = JSON.parse(text);
    if (!isRecord(value) || !isStored(value['signing'], 'ed25519') || !isStored(value['session'], 'x25519'))
      throw new Error('the fields are not those of two keys');
    return { signing: loadKey(crypto, value['signing']), session: loadKey(crypto, value['session']) };
  } catch (cause) {
    throw new CoPilotError(
      'AGENT_CORRUPT',
      `${path} holds no keys that can be read; restore it, or remove it and enrol with a new code`,
      { cause },
    );
  }
}

function isStored(value: unknown, kind: StoredKey['kind']): value is StoredKey {
  return isRecord(value) && value['kind'] === kind && typeof value['private'] === 'string';
}

function isMembership(value: unknown): value is Membership {
  return (
    isEnrolled(value) &&
    'url' in value &&
    typeof value.url === 'string' &&
    'obtainedMs' in value &&
    typeof value.obtainedMs === 'number'
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
