import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import type { CvmfsSettings } from './environment-file.ts';

/** How jobs come to the repositories. */
export type CvmfsWay =
  | { readonly kind: 'mounted'; readonly paths: readonly string[] }
  | { readonly kind: 'parrot'; readonly program: string }
  | { readonly kind: 'missing'; readonly reason: string };

const ROOT = '/cvmfs';
const ANSWER_WITHIN_MS = 20_000;

/** By the mounts where all are there, else by parrot where that is. Looking at a mount point also makes an automounter mount it. */
export async function cvmfsWay(settings: CvmfsSettings, root = ROOT): Promise<CvmfsWay> {
  const paths = settings.repositories.map((name) => join(root, name));
  const mounted = await Promise.all(paths.map(hasEntries));
  const missing = settings.repositories.find((_name, index) => mounted[index] === false);
  if (missing === undefined) return { kind: 'mounted', paths };
  const { parrot } = settings;
  if (parrot === undefined) return { kind: 'missing', reason: `${missing} is not mounted` };
  return (await isProgram(parrot))
    ? { kind: 'parrot', program: parrot }
    : { kind: 'missing', reason: `${missing} is not mounted, and ${parrot} is no program` };
}

/** The words before a job's command under parrot, which takes what follows the first word without a dash for the command. */
export function parrotWords(
  program: string,
  settings: CvmfsSettings,
  proxy: string | undefined,
): readonly string[] {
  const { parrotRepositories } = settings;
  return [
    program,
    '--cvmfs-repo-switching',
    // Its cache is the job's own: what another job put there could be anything.
    '--tempdir=.parrot',
    ...(proxy === undefined ? [] : [`--proxy=${proxy}`]),
    ...(parrotRepositories === undefined ? [] : [`--cvmfs-repos=${parrotRepositories}`]),
  ];
}

/** Looked at by a process of its own: a mount that hangs would keep a thread of ours for good. */
function hasEntries(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const giveUp = setTimeout(() => resolve(false), ANSWER_WITHIN_MS);
    const words = [path, '-mindepth', '1', '-maxdepth', '1', '-print', '-quit'];
    execFile('find', words, { timeout: ANSWER_WITHIN_MS, killSignal: 'SIGKILL' }, (_error, found) => {
      clearTimeout(giveUp);
      resolve(found !== '');
    });
  });
}

async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
