import { CoPilotError } from '../../../protocol/errors.ts';
import { isFileName } from '../file-names.ts';

/** What a request is about, by its path alone. */
export type Target =
  | { readonly kind: 'upload'; readonly job: string; readonly attempt: number; readonly name: string }
  | { readonly kind: 'input'; readonly sha256: string }
  | { readonly kind: 'result'; readonly job: string; readonly attempt: number; readonly name: string }
  | { readonly kind: 'manifest'; readonly job: string; readonly attempt: number };

const MAX_TARGET_CHARACTERS = 1024;
const ATTEMPT_FILE = /^\/v1\/(attempts|results)\/([a-z2-7]{26})\/([1-9][0-9]{0,6})\/(.+)$/;
const MANIFEST = /^\/v1\/results\/([a-z2-7]{26})\/([1-9][0-9]{0,6})$/;
const INPUT = /^\/v1\/inputs\/([0-9a-f]{64})$/;

/**
 * Reads a request target as it came over the wire. Names are percent-decoded exactly once, and refused with `NAME_REFUSED`
 * where what comes out is no file name; everything else we do not serve is `NOT_FOUND`.
 */
export function parseTarget(raw: string): Target {
  if (raw.length > MAX_TARGET_CHARACTERS) throw new CoPilotError('MALFORMED_REQUEST', 'the URL is too long');
  const file = ATTEMPT_FILE.exec(raw);
  if (file?.[1] !== undefined && file[2] !== undefined && file[4] !== undefined) {
    const kind = file[1] === 'attempts' ? 'upload' : 'result';
    return { kind, job: file[2], attempt: Number(file[3]), name: decodeName(file[4]) };
  }
  const manifest = MANIFEST.exec(raw);
  if (manifest?.[1] !== undefined)
    return { kind: 'manifest', job: manifest[1], attempt: Number(manifest[2]) };
  const input = INPUT.exec(raw);
  if (input?.[1] !== undefined) return { kind: 'input', sha256: input[1] };
  throw new CoPilotError('NOT_FOUND', 'nothing is served there');
}

/** The path of what a capability is for; file names need no percent-encoding. */
export function uploadPath(job: string, attempt: number, name: string): string {
  return `/v1/attempts/${job}/${attempt}/${name}`;
}

export function inputPath(sha256: string): string {
  return `/v1/inputs/${sha256}`;
}

function decodeName(encoded: string): string {
  const name = decodeOnce(encoded);
  if (name === undefined || !isFileName(name))
    throw new CoPilotError('NAME_REFUSED', 'file names are plain relative names, as the schema says');
  return name;
}

function decodeOnce(encoded: string): string | undefined {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined; // a broken percent sequence is no name
  }
}
