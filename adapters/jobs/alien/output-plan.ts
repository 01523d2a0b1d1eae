import {
  defaultOutput,
  type Jdl,
  jdlList,
  jdlText,
  type OutputEntry,
  parseOutputEntry,
  storageSpec,
} from '../../../protocol/jdl/index.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import { isLfn } from './catalogue.ts';

/** One file or archive to store, as short as it can be said: it travels with the job. */
export interface PlannedOutput {
  /** Of an archive; left out for files of their own. */
  readonly a?: string;
  /** Patterns. */
  readonly p: readonly string[];
  /** Where copies are wanted. */
  readonly s: string;
  /** No member is registered. */
  readonly n?: true;
}

export interface OutputPlan {
  readonly directory: string;
  readonly outputs: readonly PlannedOutput[];
  /** Stored where the executable fails. */
  readonly onError: readonly PlannedOutput[];
}

/** A pattern is a name below the job directory with `*` and `?`; no space, for a shell expands it. */
const PATTERN = /^[A-Za-z0-9_.+=,@%*?-][A-Za-z0-9_.+=,@%*?/-]{0,254}$/;
const MOST_PATTERNS = 256;

/** Throws `JDL_SYNTAX` for outputs that cannot be collected or stored. */
export function outputPlan(jdl: Jdl, id: string, user: string): OutputPlan {
  const named = ['Output', 'OutputFile', 'OutputArchive'].flatMap((name) => jdlList(jdl, name));
  const outputs = named.filter((entry) => entry.trim() !== '').map(parseOutputEntry);
  const directory = jdlText(jdl, 'OutputDir') ?? `${homeOf(user)}alien-job-${id}`;
  const plan = {
    directory: directoryOf(directory, user),
    outputs: (outputs.length === 0 ? [defaultOutput(id)] : outputs).map(planned),
    onError: jdlList(jdl, 'OutputErrorE')
      .filter((entry) => entry.trim() !== '')
      .map(parseOutputEntry)
      .map(planned),
  };
  if (patternsOf(plan).length > MOST_PATTERNS)
    throw refused(`more than ${MOST_PATTERNS} patterns of outputs`);
  return plan;
}

export function homeOf(user: string): string {
  return `/alice/cern.ch/user/${user.charAt(0)}/${user}/`;
}

/** Where the outputs of a job in error are kept for its user to look at. */
export function recycleDirectory(id: string, user: string): string {
  return `${homeOf(user)}recycle/alien-job-${id}`;
}

/** Every pattern of the plan once. */
export function patternsOf({ outputs, onError }: OutputPlan): readonly string[] {
  return [...new Set([...outputs, ...onError].flatMap((output) => output.p))];
}

function directoryOf(text: string, user: string): string {
  const path = text.replace(/^~\//, homeOf(user)).replace(/\/+$/, '');
  if (!isLfn(path)) throw refused('OutputDir is no directory of the catalogue');
  return path;
}

function planned(entry: OutputEntry): PlannedOutput {
  const bad = entry.patterns.find((pattern) => !PATTERN.test(pattern) || pattern.split('/').includes('..'));
  if (bad !== undefined) throw refused(`an output is called ${JSON.stringify(bad.slice(0, 40))}`);
  const common = {
    p: entry.patterns,
    s: storageSpec(entry.options),
    ...(!entry.options.hasLinks && { n: true as const }),
  };
  if (entry.kind === 'files') return common;
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.+=@%-]{0,200}$/.test(entry.name))
    throw refused('an archive has no plain name');
  return { a: entry.name, ...common };
}

function refused(why: string): CoPilotError {
  return new CoPilotError('JDL_SYNTAX', `JDL: ${why}`);
}
