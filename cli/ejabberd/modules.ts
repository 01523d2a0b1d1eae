import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CoPilotError } from '../../protocol/errors.ts';

/** Where Debian keeps the programs that ejabberd is made of. */
export const LIBRARIES = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;
/** Within the folder of the server's files. Were it named after the server, Erlang would take it for the server's own. */
export const MODULES_FOLDER = 'modules';
export const START_FILE = 'start.sh';
export const PID_FILE = 'pid';

const COMPILE_MS = 60_000;

/**
 * Compiles our modules among the files in `directory` and returns what came of it; undefined where this machine has no compiler.
 * Rejects with `INVALID_CONFIGURATION` where the compiler objects.
 */
export async function compileModules(directory: string): Promise<readonly string[] | undefined> {
  const folder = join(directory, MODULES_FOLDER);
  const env = { ...process.env, ERL_LIBS: process.env['ERL_LIBS'] ?? LIBRARIES };
  const sources = (await readdir(folder)).filter((name) => name.endsWith('.erl'));
  try {
    await promisify(execFile)('erlc', sources, { cwd: folder, env, timeout: COMPILE_MS });
  } catch (caught) {
    if (caught instanceof Error && 'code' in caught && caught.code === 'ENOENT') return undefined;
    throw new CoPilotError('INVALID_CONFIGURATION', `the modules in ${folder} could not be compiled`, {
      cause: caught,
    });
  }
  return sources.map((name) => join(folder, name.replace(/erl$/, 'beam')));
}
