import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CoPilotError } from '../../protocol/errors.ts';
import { EJABBERD_MODULES } from './server-files.ts';

/** Where Debian keeps the programs that ejabberd is made of. */
const LIBRARIES = '/usr/lib/x86_64-linux-gnu';

const COMPILE_MS = 60_000;

/**
 * What a private ejabberd is started with: files in `directory`, one process, and no port but those of its configuration, since it
 * is no node that others could join. The directory must not be named `ejabberd`: Erlang would take it for the program's own.
 */
export function nodeCommand(directory: string): {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
} {
  return {
    args: ['-noinput', '-pa', directory, '-mnesia', 'dir', `"${join(directory, 'spool')}"`, '-s', 'ejabberd'],
    env: {
      HOME: directory,
      ERL_LIBS: libraries(),
      ERL_CRASH_DUMP_BYTES: '0',
      EJABBERD_CONFIG_PATH: join(directory, 'ejabberd.yml'),
      EJABBERD_LOG_PATH: join(directory, 'log', 'ejabberd.log'),
    },
  };
}

/** Compiles our modules in `directory`. False where this machine has no compiler; throws `INVALID_CONFIGURATION` where it objects. */
export async function compileModules(directory: string): Promise<boolean> {
  const env = { ...process.env, ERL_LIBS: libraries() };
  try {
    await promisify(execFile)('erlc', [...SOURCES], { cwd: directory, env, timeout: COMPILE_MS });
    return true;
  } catch (caught) {
    if (caught instanceof Error && 'code' in caught && caught.code === 'ENOENT') return false;
    throw new CoPilotError('INVALID_CONFIGURATION', `the modules in ${directory} could not be compiled`, {
      cause: caught,
    });
  }
}

const SOURCES = EJABBERD_MODULES.map((name) => `${name}.erl`);

function libraries(): string {
  return process.env['ERL_LIBS'] ?? LIBRARIES;
}
