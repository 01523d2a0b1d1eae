import { readFile, stat } from 'node:fs/promises';
import { CoPilotError } from '../../protocol/errors.ts';
import type { SecretReference } from './settings.ts';

const MIN_CHARACTERS = 16;
const MAX_CHARACTERS = 512;
const OF_OTHERS = 0o077;

/**
 * The secret a reference leads to. Throws `INVALID_CONFIGURATION` where it is not there, is too short to be one, or lies in a
 * file that others may read; no message shows any of it.
 */
export async function readSecret(
  name: string,
  reference: SecretReference,
  environment: NodeJS.ProcessEnv,
): Promise<string> {
  const text = 'file' in reference ? await readSecretFile(name, reference.file) : environment[reference.env];
  const place = 'file' in reference ? reference.file : `the variable ${reference.env}`;
  const secret = text?.trimEnd() ?? '';
  if (secret === '') throw wrong(name, `${place} holds nothing`);
  if (!/^[\u0021-\u007e]+$/.test(secret))
    throw wrong(name, `${place} holds something else than one line of ASCII`);
  if (secret.length < MIN_CHARACTERS || secret.length > MAX_CHARACTERS)
    throw wrong(name, `${place} does not hold ${MIN_CHARACTERS} to ${MAX_CHARACTERS} characters`);
  return secret;
}

async function readSecretFile(name: string, path: string): Promise<string> {
  try {
    const { mode, size } = await stat(path);
    if ((mode & OF_OTHERS) !== 0)
      throw wrong(name, `${path} may be read by others: run chmod 600 on it, and consider the secret known`);
    return size > 2 * MAX_CHARACTERS ? '' : await readFile(path, 'utf8');
  } catch (cause) {
    if (cause instanceof CoPilotError) throw cause;
    throw wrong(name, `${path} cannot be read`, { cause });
  }
}

function wrong(name: string, message: string, options?: ErrorOptions): CoPilotError {
  return new CoPilotError('INVALID_CONFIGURATION', `secrets.${name}: ${message}`, options);
}
