import type { Command } from 'commander';
import { createOutput, fail } from '../command-line.ts';

/** Options every command has. */
export interface CommonOptions {
  readonly data: string;
  readonly json?: boolean;
}

/** Where an installation lies unless told otherwise. */
const DEFAULT_DIRECTORY = '.run';

export function withCommon(command: Command): Command {
  return command
    .option(
      '--data <directory>',
      'where the installation lies',
      process.env['COPILOT_DATA'] ?? DEFAULT_DIRECTORY,
    )
    .option('--json', 'one JSON document on standard output');
}

/** Runs a command's function and makes its answer, or its error, the exit code. */
export function action<A extends readonly unknown[]>(
  run: (...args: A) => Promise<number>,
): (...args: A) => Promise<void> {
  return async (...args) => {
    try {
      process.exitCode = await run(...args);
    } catch (caught) {
      process.exitCode = fail(createOutput(wantsJson(args)), caught);
    }
  };
}

/** commander gives the options before the command itself, after the arguments. */
function wantsJson(args: readonly unknown[]): boolean {
  return args.some((arg) => typeof arg === 'object' && arg !== null && 'json' in arg && arg.json === true);
}
