import { busesOf } from '../configuration/buses.ts';
import { existsSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hex } from '../../protocol/encoding.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import { storeKey } from '../../protocol/runtime/key-file.ts';
import { createCrypto } from '../../protocol/runtime/node-runtime.ts';
import { choosePorts, type GeneratedBroker } from '../configuration/generated.ts';
import type { Settings } from '../configuration/settings.ts';
import { generatedFile, writeGenerated } from '../installation.ts';
import { generatedBroker, readTrust, ringPath, writeTrust } from './key-files.ts';

export interface InstanceOptions {
  /** The installation that is there. */
  readonly directory: string;
  /** Where the new broker's folder goes. */
  readonly to: string;
  readonly name: string;
  readonly settings: Settings;
}

const NAME = /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/;
const SETTINGS_FILE = 'co-pilot.yaml';

/**
 * Makes another broker: the same installation, signing keys and adapters, a session key and a port for enrolment of its own. Answers
 * what was written. Throws `INVALID_REQUEST` where the installation cannot have several, `CONFLICT` where the folder has one already.
 */
export async function addInstance({
  directory,
  to,
  name,
  settings,
}: InstanceOptions): Promise<readonly string[]> {
  const first = await generatedBroker(directory);
  checkPlace({ directory, to, name, settings }, first);
  const crypto = createCrypto();
  const session = crypto.generate('x25519');
  const [enrolmentPort] = await choosePorts(settings.host, undefined);
  const made: GeneratedBroker = {
    ...first,
    instance: name,
    enrolmentPort,
    keys: { ...first.keys, session: storeKey(crypto, session) },
    keyRing: ringPath(directory, first),
  };
  const trust = await readTrust(directory, first, crypto);
  const trusting = await writeTrust(directory, {
    ...trust,
    brokers: [...trust.brokers, hex(session.publicKey.raw)],
  });
  await writeGenerated(to, 'broker', made);
  return [...trusting, generatedFile(to, 'broker'), ...(await copySettings(directory, to))];
}

function checkPlace({ to, name, settings }: InstanceOptions, first: GeneratedBroker): void {
  if (busesOf(settings).some(({ kind }) => kind === 'websocket') || settings.ledger.kind !== 'postgres')
    throw new CoPilotError(
      'INVALID_REQUEST',
      'several brokers need a bus server and a ledger that they share: set bus.kind, and ledger.kind to postgres',
    );
  if (!NAME.test(name) || name === first.instance)
    throw new CoPilotError(
      'INVALID_REQUEST',
      `${name} is no name for another broker: lower-case letters, digits, dots and dashes, and not ${first.instance}`,
    );
  if (existsSync(generatedFile(to, 'broker')))
    throw new CoPilotError('CONFLICT', `${to} has a broker already; choose another folder`);
}

/** What a person set counts for all brokers; ports that are set must be others where they share a machine. */
async function copySettings(directory: string, to: string): Promise<readonly string[]> {
  const [from, copy] = [join(directory, SETTINGS_FILE), join(to, SETTINGS_FILE)];
  if (!existsSync(from) || existsSync(copy)) return [];
  await copyFile(from, copy);
  return [copy];
}
