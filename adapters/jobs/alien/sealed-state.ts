import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { CoPilotError } from '../../../protocol/errors.ts';
import { createRecent } from '../kit/recent.ts';

/** Keeps what the adapter must know of a job readable for itself alone: the broker carries it, and its ledger holds it. */
export interface SealedState {
  /** Throws `INVALID_REQUEST` where it would be longer than what a job may carry. */
  seal(value: object): string;
  /** Undefined for anything that this adapter did not seal. */
  open(text: string): unknown;
}

/** As much as a job carries. */
const MOST_CHARACTERS = 4096;
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const MOST_KNOWN = 1024;
const MOST_INFLATED_BYTES = 256 * 1024;
/** Of what is sealed as it is: in base64url with nonce and tag it is well below what a job may carry. */
const MOST_PLAIN_BYTES = 2048;
/** The first byte says how the others are packed. */
const PLAIN = Buffer.of(0);
const DEFLATED = Buffer.of(1);

/** Reads the key from a file of the adapter's own, and makes it at the first start. Rejects with `INVALID_CONFIGURATION`. */
export async function openSealedState(keyFile: string): Promise<SealedState> {
  const key = await keyIn(keyFile);
  /** What was sealed of late, by its text: it comes back with the first news of a job. */
  const known = createRecent<unknown>(MOST_KNOWN);
  return {
    seal(value) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', key, nonce);
      const plain = packed(JSON.stringify(value));
      const sealed = Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
      const text = sealed.toString('base64url');
      if (text.length > MOST_CHARACTERS) throw tooLong();
      known.set(text, value);
      return text;
    },
    open(text) {
      if (text === '' || text.length > MOST_CHARACTERS) return undefined;
      const own = known.get(text);
      if (own !== undefined) return own;
      try {
        return JSON.parse(plainOf(Buffer.from(text, 'base64url'), key)) as unknown;
      } catch {
        // Whoever wrote it, it was not this adapter.
        return undefined;
      }
    },
  };
}

function tooLong(): CoPilotError {
  return new CoPilotError('INVALID_REQUEST', 'its outputs are more than a job can carry');
}

function packed(text: string): Buffer {
  const plain = Buffer.from(text);
  if (plain.length <= MOST_PLAIN_BYTES) return Buffer.concat([PLAIN, plain]);
  return Buffer.concat([DEFLATED, deflateRawSync(plain)]);
}

function plainOf(sealed: Buffer, key: KeyObject): string {
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES));
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  const plain = Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
  const text = plain.subarray(1);
  if (plain[0] === PLAIN[0]) return text.toString('utf8');
  return inflateRawSync(text, { maxOutputLength: MOST_INFLATED_BYTES }).toString('utf8');
}

async function keyIn(path: string): Promise<KeyObject> {
  const known = await readFile(path).catch(() => undefined);
  if (known !== undefined) {
    if (known.length === KEY_BYTES) return createSecretKey(known);
    throw new CoPilotError('INVALID_CONFIGURATION', `${path} is not a key of this adapter's`);
  }
  const made = randomBytes(KEY_BYTES);
  await writeFile(path, made, { mode: 0o600, flag: 'wx' });
  await chmod(path, 0o600);
  return createSecretKey(made);
}
