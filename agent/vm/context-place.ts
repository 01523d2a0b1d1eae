import { join, normalize } from 'node:path';
import { CoPilotError } from '../../protocol/errors.ts';
import { isWithin } from '../executors/launch-spec.ts';

/** Where a virtual machine finds what it was told. */
export type ContextPlace =
  | { readonly kind: 'environment' }
  /** The image, or the device that shows it. */
  | { readonly kind: 'floppy'; readonly path: string }
  /** BOINC's `init_data.xml`. */
  | { readonly kind: 'init-data'; readonly path: string }
  /** Lines of `KEY=VALUE`. */
  | { readonly kind: 'file'; readonly path: string };

const INIT_DATA = 'init_data.xml';
const FLOPPY_DEVICE = '/dev/fd0';
/** Where VirtualBox' shared directory is mounted: by LHC@home's images, and by VirtualBox itself where it is named so. */
const SHARED_DIRECTORIES = ['/shared', '/media/sf_shared'];
/** Every job sees these as a whole. */
const SHOWN_TREES = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'];

/**
 * The places that an option `auto`, `environment`, or `floppy:`, `init-data:`, `directory:`, `file:` with a path names, in the order in which
 * they are looked at. Throws `INVALID_REQUEST`.
 */
export function contextPlaces(option: string, shared?: string): readonly ContextPlace[] {
  if (option === 'environment') return [{ kind: 'environment' }];
  if (option === 'auto') return everywhere(shared);
  const at = option.indexOf(':');
  const kind = option.slice(0, Math.max(0, at));
  const path = normalize(option.slice(at + 1));
  if (SHOWN_TREES.some((tree) => isWithin(path, tree)))
    throw new CoPilotError('INVALID_REQUEST', `--context: every job sees ${path}; put it somewhere else`);
  if (path.startsWith('/')) {
    if (kind === 'floppy' || kind === 'init-data' || kind === 'file') return [{ kind, path }];
    if (kind === 'directory') return [inDirectory(path)];
  }
  throw new CoPilotError(
    'INVALID_REQUEST',
    '--context is auto, environment, or floppy:, init-data:, directory: or file: and an absolute path',
  );
}

function everywhere(shared: string | undefined): readonly ContextPlace[] {
  const directories = shared === undefined ? SHARED_DIRECTORIES : [shared, ...SHARED_DIRECTORIES];
  return [{ kind: 'environment' }, ...directories.map(inDirectory), { kind: 'floppy', path: FLOPPY_DEVICE }];
}

function inDirectory(directory: string): ContextPlace {
  return { kind: 'init-data', path: join(directory, INIT_DATA) };
}
