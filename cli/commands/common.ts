import { resolve } from 'node:path';
import type { Command } from 'commander';
import { CoPilotError } from '../../protocol/errors.ts';
import { createOutput, EXIT, fail, type Output } from '../command-line.ts';
import { FILE_VARIABLE } from '../configuration/settings.ts';
import { type Watched, watch } from '../watch.ts';

/** Options every command has. */
export interface CommonOptions {
  readonly data: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** Options of commands that show several things. */
export interface ListOptions extends CommonOptions {
  readonly jsonl?: boolean;
  readonly watch?: boolean;
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
    .option('--json', 'one JSON document on standard output')
    .option('--quiet', 'nothing on standard error but errors')
    .hook('preAction', findInstallation);
}

/** Where neither an option nor the environment says where the installation lies, a file that one of them names may. */
async function findInstallation(_: Command, command: Command): Promise<void> {
  if (command.getOptionValueSource('data') !== 'default' || process.env['COPILOT_DATA'] !== undefined) return;
  if ((process.env[FILE_VARIABLE] ?? '') === '') return;
  const { checkConfiguration } = await import('../configuration/load.ts');
  const checked = await checkConfiguration({ directory: DEFAULT_DIRECTORY, environment: process.env });
  // What is wrong in it the command says.
  const data = checked.kind === 'configuration' ? checked.configuration.settings.paths.data : undefined;
  if (data !== undefined) command.setOptionValueWithSource('data', data, 'config');
}

/** As `withCommon`, for commands that show several things. */
export function withList(command: Command): Command {
  return withCommon(command)
    .option('--jsonl', 'one line of JSON for each')
    .option('--watch', 'show it again whenever it changes, until Ctrl-C');
}

export function outputOf(options: Partial<ListOptions>): Output {
  const { json = false, jsonl = false, quiet = false } = options;
  return createOutput(json, { jsonl, quiet });
}

/** A whole number from 1 on, as an option says it. Throws `INVALID_REQUEST`. */
export function countOf(text: string, option: string): number {
  const value = Number(text);
  if (/^\d{1,15}$/.test(text) && value >= 1) return value;
  throw new CoPilotError('INVALID_REQUEST', `${option} takes a whole number from 1 on, not ${text}`);
}

/** Runs what goes on until Ctrl-C; that ends it with its own exit code. */
export async function untilInterrupted(run: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, onSignal);
  try {
    const code = await run(stop.signal);
    return stop.signal.aborted ? EXIT.interrupted : code;
  } catch (caught) {
    if (stop.signal.aborted) return EXIT.interrupted;
    throw caught;
  } finally {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, onSignal);
  }
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

/** Shows a listing whenever it changed, until Ctrl-C or until it is over. */
export function watchUntilInterrupted<T extends object>(
  output: Output,
  watched: Watched<T>,
): Promise<number> {
  return untilInterrupted(async (signal) => {
    await watch(output, process.stdout, watched, signal);
    return EXIT.ok;
  });
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
  return args.some(
    (arg) =>
      typeof arg === 'object' &&
      arg !== null &&
      (('json' in arg && arg.json === true) || ('jsonl' in arg && arg.jsonl === true)),
  );
}
