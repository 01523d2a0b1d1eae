import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What is expected to notice a mutant. */
export type Catcher =
  | { readonly kind: 'test'; readonly file: string; readonly title: string }
  /** Any command, run in the copy of the checkout; it notices by its exit code. */
  | { readonly kind: 'command'; readonly words: readonly string[] };

/** A way our code could be wrong: a patch, the requirements and invariants it breaks, and what must notice. */
export interface Mutant {
  readonly name: string;
  readonly patchFile: string;
  readonly breaks: readonly string[];
  readonly catcher: Catcher;
}

const HEADER = /^Breaks: (?<breaks>[A-Z]-?\d+(?:, [A-Z]-?\d+)*)\nCaught-by: (?<by>[^\n]+)\n/;
const BY_TEST = /^(?<file>test\/\S+\.test\.ts) :: (?<title>.+)$/;
const BY_COMMAND = /^\$ (?<command>.+)$/;

/** All mutants of a directory, by name. Throws where the header of one cannot be read. */
export function readMutants(directory: string): readonly Mutant[] {
  const files = readdirSync(directory).filter((name) => name.endsWith('.patch'));
  return files.sort().map((file) => readMutant(join(directory, file), file.slice(0, -'.patch'.length)));
}

function readMutant(patchFile: string, name: string): Mutant {
  const { breaks = '', by = '' } = HEADER.exec(readFileSync(patchFile, 'utf8'))?.groups ?? {};
  const catcher = catcherOf(by);
  if (catcher === undefined) throw new Error(`${name} does not begin with "Breaks: …" and "Caught-by: …"`);
  return { name, patchFile, breaks: breaks.split(', '), catcher };
}

function catcherOf(by: string): Catcher | undefined {
  const { file, title } = BY_TEST.exec(by)?.groups ?? {};
  if (file !== undefined && title !== undefined) return { kind: 'test', file, title };
  const command = BY_COMMAND.exec(by)?.groups?.['command'];
  return command === undefined ? undefined : { kind: 'command', words: command.split(' ') };
}

/** A title as a pattern for names of tests: what a table fills in may be anything. */
export function titlePattern(title: string): string {
  const parts = title.split(/%[sidj]|\$\w+/);
  return parts.map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('.*');
}
