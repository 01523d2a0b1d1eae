import { readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toCoPilotError } from '../../protocol/errors.ts';
import type { Clock } from '../../protocol/runtime/runtime.ts';
import type { Exit, IsolationMethod, LaunchSpec } from './launcher.ts';
import { createProcessLauncher } from './process-launcher.ts';
import type { UidRange } from './uid-pool.ts';

/** One rung of the ladder: whether a job was really kept apart by it here, and if not, why. */
export interface Attempt {
  readonly method: IsolationMethod;
  readonly works: boolean;
  readonly reason: string;
}

/** The strongest method that works, or none of them: the program then ends with 78 and shows the reasons. */
export type Detection =
  | { readonly kind: 'found'; readonly method: IsolationMethod; readonly attempts: readonly Attempt[] }
  | { readonly kind: 'nothing-works'; readonly attempts: readonly Attempt[] };

export interface DetectionOptions {
  readonly clock: Clock;
  /** Where the canary works; a directory like those jobs will get. Default: the system's temporary directory. */
  readonly directory?: string;
  /** Paths jobs will need, such as the node binary: a method under which they cannot be read does not work. */
  readonly readOnly?: readonly string[];
  /** Paths jobs must not read: a method under which they could does not work. */
  readonly hiddenPaths?: readonly string[];
  readonly uids?: UidRange;
}

const ladder: readonly IsolationMethod[] = ['bubblewrap', 'unshare', 'uid'];
const canaryText = readFileSync(new URL('canary.sh', import.meta.url), 'utf8');
const canaryLimits = { wallSeconds: 20, memoryMiB: 256, diskMiB: 64, files: 100, processes: 64 };

function canarySpec(
  method: IsolationMethod,
  base: string,
  { readOnly = [], hiddenPaths = [] }: DetectionOptions,
): LaunchSpec {
  const workDirectory = join(base, 'work');
  const secret = join(base, 'secret', 'key');
  return {
    command: '/bin/sh',
    arguments: ['-c', canaryText, 'canary', secret, workDirectory, method, ...readOnly],
    environment: {},
    workDirectory,
    readOnly,
    hiddenPaths: [secret, ...hiddenPaths],
    stdoutFile: join(base, 'stdout'),
    stderrFile: join(base, 'stderr'),
    limits: canaryLimits,
    network: 'host',
  };
}

async function prepare(base: string): Promise<void> {
  // Another uid must reach the work directory through here, and only that.
  await chmod(base, 0o711);
  await mkdir(join(base, 'work'), { mode: 0o700 });
  await mkdir(join(base, 'secret'), { mode: 0o700 });
  await writeFile(join(base, 'secret', 'key'), 'canary', { mode: 0o600 });
}

async function explain(exit: Exit, stderrFile: string): Promise<string> {
  const said = (await readFile(stderrFile, 'utf8')).trim().slice(0, 500);
  switch (exit.kind) {
    case 'not-started':
      return exit.reason;
    case 'exited':
      return said === '' ? `the canary ended with ${exit.code}` : said;
    case 'signalled':
      return `the canary was ended by ${exit.signal}`;
    case 'limit':
      return `the canary met its limit of ${exit.limit}`;
  }
}

async function runCanary(method: IsolationMethod, options: DetectionOptions): Promise<string | undefined> {
  const parent = await realpath(options.directory ?? tmpdir());
  const base = await mkdtemp(join(parent, 'co-pilot-canary-'));
  try {
    await prepare(base);
    const spec = canarySpec(method, base, options);
    const exit = await createProcessLauncher(method, options).launch(spec).exited;
    return exit.kind === 'exited' && exit.code === 0 ? undefined : await explain(exit, spec.stderrFile);
  } finally {
    await rm(base, { recursive: true, force: true });
  }
}

async function tryMethod(method: IsolationMethod, options: DetectionOptions): Promise<Attempt> {
  try {
    const reason = await runCanary(method, options);
    return { method, works: reason === undefined, reason: reason ?? 'a canary job was kept apart' };
  } catch (caught) {
    return { method, works: false, reason: toCoPilotError(caught).message };
  }
}

/**
 * Tries the ladder from the strongest method down, or `preferred` alone, each with a real job that attempts what jobs must not
 * be able to do; stops at the first that holds. `none` is never tried: it is taken only as `preferred`.
 */
export async function detectIsolation(
  preferred: IsolationMethod | undefined,
  options: DetectionOptions,
): Promise<Detection> {
  if (preferred === 'none') return { kind: 'found', method: 'none', attempts: [] };
  const attempts: Attempt[] = [];
  for (const method of preferred === undefined ? ladder : [preferred]) {
    const attempt = await tryMethod(method, options);
    attempts.push(attempt);
    if (attempt.works) return { kind: 'found', method, attempts };
  }
  return { kind: 'nothing-works', attempts };
}
