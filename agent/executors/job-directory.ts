import { chmod, lstat, mkdir, readdir, rename, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { CoPilotError } from '../../protocol/errors.ts';

const directoryName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/**
 * The directory of one attempt, below `parent`, for its owner alone; made where it is missing, else as the attempt left it. Throws
 * `NAME_REFUSED`, or `CONFLICT` where something else has the name.
 */
export async function openJobDirectory(parent: string, name: string): Promise<string> {
  if (!directoryName.test(name)) throw new CoPilotError('NAME_REFUSED', 'no name for a job directory');
  const path = join(parent, name);
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (caught) {
    if (codeOf(caught) !== 'EEXIST') throw caught;
    if (!(await lstat(path)).isDirectory()) {
      throw new CoPilotError('CONFLICT', `${name} is no directory`, { cause: caught });
    }
  }
  return path;
}

/**
 * Removes `path` and all below it once no process of the job is left; harmless where it is gone. Never follows a link, and needs
 * neither long paths nor a deep stack: directories are first moved up beside one another, however deep the job nested them.
 */
export async function removeJobDirectory(path: string): Promise<void> {
  const stat = await lstat(path).catch(absent);
  if (stat === undefined) return;
  if (!stat.isDirectory()) {
    await unlink(path);
    return;
  }
  await flatten(path);
  await rmdir(path);
}

async function flatten(top: string): Promise<void> {
  let moved = 0;
  for (const pending = await emptyInto(top, top, () => moved++); ; ) {
    const directory = pending.pop();
    if (directory === undefined) return;
    pending.push(...(await emptyInto(directory, top, () => moved++)));
    await rmdir(directory);
  }
}

/** Unlinks what is no directory in `directory` and moves its directories to fresh names in `top`; answers where they are. */
async function emptyInto(directory: string, top: string, nextNumber: () => number): Promise<string[]> {
  // The job may have taken its own rights away.
  await chmod(directory, 0o700);
  const found: string[] = [];
  for (const entry of await readdir(directory, { withFileTypes: true, encoding: 'buffer' })) {
    const path = Buffer.concat([Buffer.from(`${directory}/`), entry.name]);
    if (!entry.isDirectory()) {
      await unlink(path);
      continue;
    }
    // Moving a directory rewrites its parent entry, which takes the right to write it.
    await chmod(path, 0o700);
    found.push(await moveUp(path, top, nextNumber));
  }
  return found;
}

async function moveUp(path: Buffer, top: string, nextNumber: () => number): Promise<string> {
  for (;;) {
    const target = join(top, `.removed-${nextNumber()}`);
    if ((await lstat(target).catch(absent)) !== undefined) continue;
    await rename(path, target);
    return target;
  }
}

const codeOf = (caught: unknown): unknown =>
  caught instanceof Error && 'code' in caught ? caught.code : undefined;

function absent(caught: unknown): undefined {
  if (codeOf(caught) === 'ENOENT') return undefined;
  throw caught;
}
