import { createPrivateKey, X509Certificate } from 'node:crypto';
import { decodeJwt } from 'jose';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { Clock, Log } from '../../../protocol/runtime/runtime.ts';
import { type WatchedFile, watchFile } from '../../../protocol/runtime/watched-file.ts';

/** Where the credential for a framework lies; none where nothing is said. */
export interface CredentialPaths {
  /** In PEM: the certificate, and those between it and its authority. */
  readonly certificateFile?: string;
  readonly keyFile?: string;
  /** A proxy (RFC 3820): certificate, key and chain in one file of PEM. */
  readonly proxyFile?: string;
  /** A bearer token, alone in its file. */
  readonly tokenFile?: string;
}

/** What the files hold now. Secrets come out of functions alone, so that whoever writes a credential to a log writes none. */
export interface Credential {
  /** Rises with every change. */
  readonly version: number;
  /** Wall time in milliseconds since the Unix epoch at which the first part of it ends; undefined where none says so. */
  readonly expiresMs: number | undefined;
  tls(): { readonly cert: string; readonly key: string } | undefined;
  bearer(): string | undefined;
}

export interface CredentialFiles {
  /** Whoever keeps an answer for longer than a request misses a renewal. */
  current(): Credential;
  stop(): void;
}

const BLOCK = /-----BEGIN ([A-Z0-9 ]{1,40})-----[^-]{1,65536}-----END \1-----/g;
const TOKEN = /^[A-Za-z0-9._~+/=-]{1,16384}$/;

/**
 * Reads a credential, and reads it again when a file changes. Rejects with `INVALID_CONFIGURATION` where a file is not there, is no
 * credential, or where others may read a secret. Later, what was read before goes on to count until the files fit together again: a
 * certificate is renewed before its key, or after it.
 */
export async function openCredentialFiles(
  paths: CredentialPaths,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Promise<CredentialFiles> {
  const files: WatchedFile<string>[] = [];
  const watch = async (path: string | undefined, isSecret: boolean): Promise<() => string> => {
    if (path === undefined) return () => '';
    const file = await watchFile({ path, parse: (text) => text, missing: '', isSecret, clock, log });
    files.push(file);
    if (file.value === '') throw unusable(`${path} is not there`);
    return () => file.value;
  };
  const stop = (): void => {
    for (const file of files) file.stop();
  };
  try {
    const certificate = await watch(paths.certificateFile, false);
    const key = await watch(paths.keyFile, true);
    const proxy = await watch(paths.proxyFile, true);
    const token = await watch(paths.tokenFile, true);
    const read = (): readonly string[] => [certificate(), key(), proxy(), token()];
    let texts = read();
    let known = credentialOf(texts, 1);
    let refused: readonly string[] | undefined;
    return {
      current() {
        const now = read();
        if (isSame(now, texts) || (refused !== undefined && isSame(now, refused))) return known;
        try {
          if (now.some((text, at) => text === '' && texts[at] !== '')) throw unusable('a file is gone');
          known = credentialOf(now, known.version + 1);
          texts = now;
          log.info({ version: known.version }, 'the credential was renewed');
        } catch {
          // Said once; the texts themselves are secrets.
          refused = now;
          log.warn({}, 'the files of the credential do not fit together; the one before goes on to count');
        }
        return known;
      },
      stop,
    };
  } catch (caught) {
    stop();
    throw caught;
  }
}

function isSame(some: readonly string[], others: readonly string[]): boolean {
  return some.every((text, at) => text === others[at]);
}

function credentialOf(
  [certificate = '', key = '', proxy = '', token = '']: readonly string[],
  version: number,
): Credential {
  const tls = proxy === '' ? pairOf(certificate, key) : proxyOf(proxy);
  const bearer = tokenOf(token);
  const ends = [tls && endOf(tls.cert), bearer && endOfToken(bearer)].filter(
    (end) => typeof end === 'number',
  );
  return {
    version,
    expiresMs: ends.length === 0 ? undefined : Math.min(...ends),
    tls: () => tls,
    bearer: () => bearer,
  };
}

function pairOf(cert: string, key: string): { readonly cert: string; readonly key: string } | undefined {
  if (cert === '' && key === '') return undefined;
  if (cert === '' || key === '') throw unusable('a certificate needs its key, and a key its certificate');
  try {
    if (new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) return { cert, key };
  } catch {
    // Its text could be the key's.
    throw unusable('the certificate or its key cannot be read');
  }
  throw unusable('the key is not that of the certificate');
}

function proxyOf(text: string): { readonly cert: string; readonly key: string } | undefined {
  const blocks = [...text.matchAll(BLOCK)];
  const ofKind = (isKey: boolean): string =>
    blocks
      .filter(([, kind = '']) => kind.endsWith('PRIVATE KEY') === isKey)
      .map(([block]) => block)
      .join('\n');
  return pairOf(ofKind(false), ofKind(true)) ?? missing('a proxy has a certificate and a key');
}

function missing(why: string): never {
  throw unusable(why);
}

function tokenOf(text: string): string | undefined {
  const token = text.trim();
  if (token === '') return undefined;
  return TOKEN.test(token) ? token : missing('the token cannot be sent as a bearer token');
}

function endOf(cert: string): number {
  return Date.parse(new X509Certificate(cert).validTo);
}

/** Undefined where it is no JWT, or one without an end. */
function endOfToken(token: string): number | undefined {
  try {
    const { exp } = decodeJwt(token);
    return exp === undefined ? undefined : exp * 1000;
  } catch {
    return undefined; // opaque to us, as it may be
  }
}

function unusable(why: string): CoPilotError {
  return new CoPilotError('INVALID_CONFIGURATION', `the credential for the framework: ${why}`);
}
