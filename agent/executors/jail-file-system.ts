import { lstatSync, readlinkSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { isWithin } from './launch-spec.ts';

/** One step in building a job's view of the file system; every path is at its own place, inside as outside. */
export type ViewStep =
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'read'; readonly path: string }
  | { readonly kind: 'write'; readonly path: string }
  | { readonly kind: 'hide'; readonly path: string; readonly isDirectory: boolean }
  | { readonly kind: 'link'; readonly path: string; readonly target: string };

export interface ViewRequest {
  readonly workDirectory: string;
  readonly readOnly: readonly string[];
  readonly hiddenPaths: readonly string[];
  readonly network: 'host' | 'none';
}

const rootEntries = ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'];

/** Never all of /etc: host keys, tokens of other programs and mount credentials live there. */
const etcEntries = [
  '/etc/ld.so.cache',
  '/etc/ld.so.conf',
  '/etc/ld.so.conf.d',
  '/etc/alternatives',
  '/etc/localtime',
  '/etc/ssl/certs',
  '/etc/ssl/openssl.cnf',
  '/etc/ca-certificates',
  '/etc/pki/ca-trust',
  '/etc/pki/tls/certs',
  '/etc/pki/tls/openssl.cnf',
];
const networkEntries = [
  '/etc/hosts',
  '/etc/resolv.conf',
  '/etc/nsswitch.conf',
  '/etc/services',
  '/etc/protocols',
];

const exists = (path: string): boolean => statSync(path, { throwIfNoEntry: false }) !== undefined;

function systemSteps(network: 'host' | 'none'): ViewStep[] {
  const steps: ViewStep[] = [{ kind: 'read', path: '/usr' }];
  for (const path of rootEntries) {
    const entry = lstatSync(path, { throwIfNoEntry: false });
    if (entry?.isSymbolicLink()) steps.push({ kind: 'link', path, target: readlinkSync(path) });
    else if (entry?.isDirectory()) steps.push({ kind: 'read', path });
  }
  const etc = network === 'host' ? [...etcEntries, ...networkEntries] : etcEntries;
  for (const path of etc.filter(exists)) steps.push({ kind: 'read', path });
  return steps;
}

const isDirectory = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

function ownSteps(request: ViewRequest): ViewStep[] {
  const steps: ViewStep[] = [
    ...request.readOnly.map((path) => ({ kind: 'read' as const, path })),
    ...request.hiddenPaths
      .filter((path) => exists(path) && request.readOnly.some((visible) => isWithin(path, visible)))
      .map((path) => ({ kind: 'hide' as const, path, isDirectory: isDirectory(path) })),
    { kind: 'write', path: request.workDirectory },
  ];
  // Parents first, and at one path `read` before the `hide` that covers it.
  return steps.sort((a, b) => a.path.split('/').length - b.path.split('/').length);
}

/** What is already in place: whole trees, and directories that hold only what is put into them. */
type Shown = Map<string, 'tree' | 'empty'>;

function missingParents(path: string, shown: Shown): string[] {
  const parents: string[] = [];
  for (let parent = dirname(path); parent !== '/'; parent = dirname(parent)) {
    const kind = shown.get(parent);
    if (kind === 'tree') return [];
    if (kind === 'empty') break;
    parents.unshift(parent);
  }
  return parents;
}

/**
 * Everything a job sees besides /proc, /dev, /tmp and its passwd stub, in the order in which it must be put in place.
 * Parents of what is shown are made as empty directories, so a tree below a private home is reachable and its siblings are not there.
 */
export function viewSteps(request: ViewRequest): ViewStep[] {
  const shown: Shown = new Map();
  const steps: ViewStep[] = [];
  for (const step of [...systemSteps(request.network), ...ownSteps(request)]) {
    for (const path of missingParents(step.path, shown)) {
      steps.push({ kind: 'directory', path });
      shown.set(path, 'empty');
    }
    steps.push(step);
    shown.set(step.path, step.kind === 'hide' ? 'empty' : 'tree');
  }
  return steps;
}
