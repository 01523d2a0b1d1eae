import { createHash, timingSafeEqual } from 'node:crypto';
import { open } from 'node:fs/promises';
import { CoPilotError } from '../../../../protocol/errors.ts';

/** Who may submit over HTTP. */
export interface Tokens {
  /** The owner a token stands for; undefined where it is none. Takes as long whatever the token is. */
  ownerOf(token: string): string | undefined;
}

const MAX_FILE_BYTES = 256 * 1024;
const MAX_TOKENS = 1000;
const LINE = /^([a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?)[ \t]+([0-9a-f]{64})$/;

interface Entry {
  readonly owner: string;
  readonly digest: Buffer;
}

/** Reads a file of tokens' digests. Throws `INVALID_CONFIGURATION` with the line, `NOT_AUTHORIZED` where others may write it. */
export async function loadTokens(path: string): Promise<Tokens> {
  const entries = parseTokens(await readPrivate(path), path);
  return {
    ownerOf(token) {
      const digest = createHash('sha256').update(token).digest();
      let owner: string | undefined;
      // No early end: how long it takes says nothing of which matched.
      for (const entry of entries) if (timingSafeEqual(entry.digest, digest)) owner = entry.owner;
      return owner;
    },
  };
}

function parseTokens(text: string, path: string): readonly Entry[] {
  const entries: Entry[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [, owner, hex] = LINE.exec(line.trim()) ?? [];
    if (owner === undefined || hex === undefined)
      throw new CoPilotError(
        'INVALID_CONFIGURATION',
        `${path}:${index + 1}: a line is an owner, a space and the SHA-256 of a token in hex`,
      );
    entries.push({ owner, digest: Buffer.from(hex, 'hex') });
  }
  if (entries.length > MAX_TOKENS)
    throw new CoPilotError('INVALID_CONFIGURATION', `${path} has over ${MAX_TOKENS} tokens`);
  return entries;
}

/** The text of a small file that nobody but its owner may write. */
async function readPrivate(path: string): Promise<string> {
  await using file = await open(path).catch((cause: unknown) => {
    throw new CoPilotError('INVALID_CONFIGURATION', `${path} cannot be read`, { cause });
  });
  const { mode, size } = await file.stat();
  if ((mode & 0o022) !== 0)
    throw new CoPilotError('NOT_AUTHORIZED', `${path} may be written by others: run chmod 600 on it`);
  if (size > MAX_FILE_BYTES)
    throw new CoPilotError('INVALID_CONFIGURATION', `${path} is over ${MAX_FILE_BYTES} bytes`);
  return await file.readFile('utf8');
}
