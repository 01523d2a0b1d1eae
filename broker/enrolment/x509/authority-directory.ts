import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { Runtime } from '../../../protocol/runtime/runtime.ts';
import { readCertificate } from './certificate.ts';
import type { Authorities } from './path.ts';
import { readRevocationList } from './revocation-list.ts';

/** A change of the directory is seen after this time at the latest. */
export const LOOK_AGAIN_MS = 60_000;
const MAX_FILES = 4_096;
const MAX_BYTES = 32 * 1024 * 1024;
const BLOCK = /-----BEGIN (CERTIFICATE|X509 CRL)-----([A-Za-z0-9+/=\s]+)-----END \1-----/g;
const DER_START = 0x30;

/**
 * The authorities and revocation lists of a directory, read again when a file changed; other files in it do not matter. Rejects with
 * `ENROLMENT_UNAVAILABLE` where it cannot be read.
 */
export function createAuthorityDirectory(
  path: string,
  { clock, log }: Pick<Runtime, 'clock' | 'log'>,
): () => Promise<Authorities> {
  let known: Authorities | undefined;
  let marks = '';
  let lookedMs = -Infinity;
  let looking: Promise<Authorities> | undefined;

  async function look(): Promise<Authorities> {
    const files = await filesOf(path);
    const found = files.map(({ file, mark }) => `${file} ${mark}`).join('\n');
    if (known === undefined || found !== marks) known = await readAll(files.map(({ file }) => file));
    marks = found;
    lookedMs = clock.monotonicMs();
    return known;
  }

  async function readAll(files: readonly string[]): Promise<Authorities> {
    const anchors = [];
    const lists = [];
    for (const file of files)
      for (const { kind, der } of blocksOf(await readFile(file)))
        try {
          if (kind === 'CERTIFICATE') anchors.push(readCertificate(der));
          else lists.push(readRevocationList(der));
        } catch (caught) {
          log.warn({ file, kind, err: caught }, 'an authority or its revocation list cannot be used');
        }
    log.info({ path, authorities: anchors.length, lists: lists.length }, 'the authorities were read');
    return { anchors, lists };
  }

  return async () => {
    if (known !== undefined && clock.monotonicMs() - lookedMs < LOOK_AGAIN_MS) return known;
    looking ??= look().finally(() => (looking = undefined));
    try {
      return await looking;
    } catch (cause) {
      log.error({ path, err: cause }, 'the directory of authorities cannot be read');
      throw new CoPilotError('ENROLMENT_UNAVAILABLE', 'certificates cannot be judged at the moment', {
        cause,
      });
    }
  };
}

async function filesOf(path: string): Promise<readonly { readonly file: string; readonly mark: string }[]> {
  const names = (await readdir(path)).toSorted();
  if (names.length > MAX_FILES) throw new Error(`there are more than ${MAX_FILES} files`);
  const files = [];
  for (const name of names) {
    const file = join(path, name);
    const found = await stat(file);
    if (found.isFile() && found.size <= MAX_BYTES)
      files.push({ file, mark: `${found.ino} ${found.size} ${found.mtimeMs}` });
  }
  return files;
}

/** Certificates and lists in PEM, or one list in DER. */
function blocksOf(bytes: Buffer): readonly { readonly kind: string; readonly der: Uint8Array }[] {
  if (bytes[0] === DER_START) return [{ kind: 'X509 CRL', der: bytes }];
  return [...bytes.toString('latin1').matchAll(BLOCK)].map(([, kind = '', body = '']) => ({
    kind,
    der: Buffer.from(body, 'base64'),
  }));
}
