import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { removeJobDirectory } from '../executors/job-directory.ts';
import type { Exit, Launcher } from '../executors/launcher.ts';
import type { JobSurroundings } from '../loop/context.ts';
import { createWorkplace } from '../store/workplace.ts';
import type { JobExtras } from './job-environment.ts';

/** Runs something of the site's own as a job is run. */
export interface SiteProgram {
  readonly command: string;
  readonly arguments: readonly string[];
  /** Files in its directory, by plain name. */
  readonly files: Readonly<Record<string, Uint8Array | string>>;
  readonly wallSeconds: number;
  readonly network: 'host' | 'none';
  readonly extras: JobExtras;
}

export interface SiteProgramEnd {
  readonly exit: Exit;
  /** The end of what it wrote, standard error last. */
  readonly said: string;
}

export interface JailOptions {
  readonly launcher: Launcher;
  /** The agent's own directory. */
  readonly directory: string;
  readonly surroundings: JobSurroundings;
}

/** The jail of jobs, for what a site wants done before them. */
export interface Jail {
  /** Its directory is gone afterwards. Rejects where it cannot be launched, or this host has a fault. */
  run(program: SiteProgram, signal: AbortSignal): Promise<SiteProgramEnd>;
}

const LIMITS = { memoryMiB: 1_024, diskMiB: 1_024, outputMiB: 4, files: 20_000, processes: 256 };
const SAID = 4_096;
const FOLDER = 'environment';

export function createJail(options: JailOptions): Jail {
  let runs = 0;
  return {
    async run(program, signal) {
      const root = join(options.directory, FOLDER, String(++runs));
      await removeJobDirectory(root);
      const place = createWorkplace(root);
      await mkdir(place.directory, { recursive: true, mode: 0o711 });
      try {
        for (const [name, content] of Object.entries(program.files))
          await writeFile(join(place.directory, name), content, { mode: 0o600 });
        const exit = await launch(options, program, place, signal);
        return { exit, said: await place.logTail(SAID) };
      } finally {
        await removeJobDirectory(root);
      }
    },
  };
}

function launch(
  { launcher, surroundings }: JailOptions,
  { command, arguments: args, extras, wallSeconds, network }: SiteProgram,
  place: ReturnType<typeof createWorkplace>,
  signal: AbortSignal,
): Promise<Exit> {
  const [first, ...others] = [...extras.wrap, command];
  const running = launcher.launch({
    command: first,
    arguments: [...others, ...args],
    environment: { PATH: surroundings.path, ...extras.variables },
    workDirectory: place.directory,
    readOnly: [...surroundings.readOnly, ...extras.readOnly],
    hiddenPaths: surroundings.hiddenPaths,
    stdoutFile: place.stdoutFile,
    stderrFile: place.stderrFile,
    limits: { ...LIMITS, wallSeconds },
    network,
  });
  const kill = (): void => running.signal('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  if (signal.aborted) kill();
  return running.exited.finally(() => signal.removeEventListener('abort', kill));
}
