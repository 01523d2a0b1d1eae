import { resolve } from 'node:path';
import type { Command } from 'commander';
import { createOutput, fail } from '../command-line.ts';
import { FILE_VARIABLE } from '../configuration/load.ts';

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
    .option(
      '--config <file>',
      `configuration to read instead of the installation's co-pilot.yaml (or ${FILE_VARIABLE})`,
      useConfiguration,
    )
    .option('--json', 'one JSON document on standard output');
}

/** Programs that this one starts read the same file. */
function useConfiguration(file: string): string {
  process.env[FILE_VARIABLE] = resolve(file);
  return file;
}

/** Collects an option that may be given several times. */
export function collect(value: string, earlier: readonly string[]): readonly string[] {
  return [...earlier, value];
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
