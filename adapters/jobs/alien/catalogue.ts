import type { AlienJob } from './central.ts';
import type { Piece } from './piece.ts';

export interface OutputFile {
  readonly content: Piece;
  readonly lfn: string;
  /** In hexadecimal: it must be known before a place is asked for. */
  readonly md5: string;
  /** Where copies are wanted, as `access` takes it. */
  readonly storage: string;
  /** Files inside, where it is an archive whose members are to be found in the catalogue too. */
  readonly members: readonly ArchiveMember[];
}

export interface ArchiveMember {
  readonly name: string;
  readonly lfn: string;
  readonly size: number;
  readonly md5: string;
}

export interface StoredOutput {
  /** Where the copies are. */
  readonly pfns: readonly string[];
  readonly guid: string;
  /** Copies that were asked for; fewer may have been made. */
  readonly wanted: number;
}

/**
 * AliEn's catalogue with the storages behind it. What cannot be had, ever, is a rejection with `NOT_FOUND`, `CONFLICT`, `NOT_AUTHORIZED`,
 * `QUOTA_EXCEEDED` or `UNSUPPORTED`; any other rejection may pass.
 */
export interface Catalogue {
  /** Puts the bytes of a file of the catalogue at a path of this host. */
  fetch(lfn: string, path: string): Promise<void>;
  /** Stores and registers; a file that is there with the same size and MD5 is as good as stored. */
  store(file: OutputFile, job: AlienJob): Promise<StoredOutput>;
  stop(): Promise<void>;
}

/** Rejections after which the same call is not worth repeating. */
const FINAL = new Set([
  'NOT_FOUND',
  'CONFLICT',
  'NOT_AUTHORIZED',
  'QUOTA_EXCEEDED',
  'UNSUPPORTED',
  'NAME_REFUSED',
]);

export function isFinalRefusal(code: string): boolean {
  return FINAL.has(code);
}

/** A name of the catalogue: absolute, without `..`, of printable characters. */
export function isLfn(text: string): boolean {
  if (text.length > 1024 || !/^(?:\/[^/\u0000-\u0020\u007f"\\;#?]{1,255})+$/.test(text)) return false;
  return !text.split('/').some((part) => part === '..' || part === '.');
}
