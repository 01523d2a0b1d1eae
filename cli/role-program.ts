import { EXIT, exitCodeOf } from './command-line.ts';
import { startFramework, startRole } from './role.ts';
import { loadConfiguration } from './configuration/load.ts';
import { CoPilotError, toCoPilotError } from '../protocol/errors.ts';
import { ROLES } from './installation.ts';

export interface RoleProgramOptions {
  readonly directory: string;
  /** One of an installation's programs, or the name of a framework that is configured. */
  readonly role: string;
  /** What was set on the command line. */
  readonly flags: readonly string[];
  /** End when standard input does. */
  readonly withParent: boolean;
}

/** Runs one role until it is told to end, or whoever started it is gone. Says what happens in lines of JSON. */
export async function runRole({ directory, role, flags, withParent }: RoleProgramOptions): Promise<number> {
  const say = (event: object): void => void process.stdout.write(`${JSON.stringify(event)}\n`);
  // Whoever reads us may be gone first.
  process.stdout.on('error', () => undefined);
  const fatal = new AbortController();
  let endNow: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    endNow = resolve;
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve());
    if (withParent) process.stdin.on('end', () => resolve()).resume();
  });
  try {
    const onFatal = (): void => {
      fatal.abort();
      endNow();
    };
    const configuration = await loadConfiguration({ directory, environment: process.env, flags });
    const options = { directory, configuration, onEvent: say };
    const own = ROLES.find((known) => known === role);
    if (own === undefined) requireFramework(role, Object.keys(configuration.settings.frameworks));
    const program =
      own === undefined
        ? await startFramework(role, options)
        : await startRole({ ...options, role: own, onFatal });
    await ended;
    await program.stop();
    return fatal.signal.aborted ? EXIT.internal : EXIT.ok;
  } catch (caught) {
    const error = toCoPilotError(caught);
    const { code, message } = error;
    say({ event: 'failed', role, code, message });
    process.stderr.write(`${message} [${code}]\n`);
    return exitCodeOf(error);
  } finally {
    process.stdin.destroy();
  }
}

function requireFramework(role: string, frameworks: readonly string[]): void {
  if (frameworks.includes(role)) return;
  const known = [...ROLES, ...frameworks].join(', ');
  throw new CoPilotError('INVALID_REQUEST', `--role is one of ${known}`);
}
