/**
 * Loaded before a program (`NODE_OPTIONS=--import=…`): writes every plaintext that the program seals or opens to a file of the
 * directory named by `PLAINTEXT_TAP`, one file a process.
 */
import { appendFileSync } from 'node:fs';
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';

const directory = process.env['PLAINTEXT_TAP'];
if (directory === undefined) throw new Error('PLAINTEXT_TAP names no directory');
const file = join(directory, `${process.pid}.plaintext`);

function record(bytes: unknown): void {
  if (!(bytes instanceof Uint8Array)) throw new Error('a plaintext that is no bytes');
  appendFileSync(file, bytes);
  appendFileSync(file, '\n');
}

const { createCipheriv, createDecipheriv } = crypto;

Object.assign(crypto, {
  createCipheriv(...parameters: Parameters<typeof createCipheriv>) {
    const cipher = createCipheriv(...parameters);
    const update = cipher.update.bind(cipher) as (bytes: Uint8Array) => Buffer;
    return Object.assign(cipher, {
      update(bytes: Uint8Array) {
        record(bytes);
        return update(bytes);
      },
    });
  },
  createDecipheriv(...parameters: Parameters<typeof createDecipheriv>) {
    const decipher = createDecipheriv(...parameters);
    const update = decipher.update.bind(decipher) as (bytes: Uint8Array) => Buffer;
    return Object.assign(decipher, {
      update(bytes: Uint8Array) {
        const plaintext = update(bytes);
        record(plaintext);
        return plaintext;
      },
    });
  },
});
syncBuiltinESMExports();
