import { chmod, mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CoPilotError } from '../../protocol/errors.ts';
import type { Output } from '../../protocol/generated/types.ts';
import { collectOutputs, openOutput } from '../executors/collect-outputs.ts';
import type { OutputProblem } from '../executors/collect-outputs.ts';
import { outputNameParts } from '../executors/output-name.ts';
import type { Collected, Workplace } from './store.ts';

/** Begins with a dot, so that no input and no declared output can have the name. */
const PROGRESS_NAME = '.co-pilot-progress';
const MAX_PROGRESS_BYTES = 64;

const PROBLEMS: Readonly<Record<OutputProblem, string>> = {
  missing: 'is missing',
  'name-refused': 'has a name that is refused',
  'symbolic-link': 'is a symbolic link',
  'hard-link': 'has more than one name',
  'no-plain-file': 'is no plain file',
  'too-large': 'is over its bound',
  'changed-while-read': 'changed while it was read',
  unreadable: 'cannot be read',
};

/** The files of one attempt below its own directory, `root`. */
export function createWorkplace(root: string): Workplace {
  const directory = join(root, 'work');
  const stdoutFile = join(root, 'stdout');
  const stderrFile = join(root, 'stderr');
  return {
    directory,
    stdoutFile,
    stderrFile,
    progressFile: join(directory, PROGRESS_NAME),
    place: (name) => place(directory, name),
    makeExecutable: async (name) => chmod(await place(directory, name), 0o700),
    collect: (outputs, maxBytes) => collect(directory, outputs, maxBytes),
    progress: () => readProgress(directory),
    logTail: (maxLength) => logTail([stdoutFile, stderrFile], maxLength),
  };
}

async function place(directory: string, name: string): Promise<string> {
  const parts = outputNameParts(name);
  if (parts === undefined)
    throw new CoPilotError('MALFORMED_MESSAGE', 'a file name leaves the work directory');
  const path = join(directory, ...parts);
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new CoPilotError('NAME_COLLISION', `${name} lies below something that is no directory`, { cause });
  }
  return path;
}

async function collect(directory: string, outputs: readonly Output[], maxBytes: number): Promise<Collected> {
  const declared = outputs.map(({ name, maxBytes: own }) => ({
    name,
    maxBytes: Math.min(own ?? maxBytes, maxBytes),
  }));
  const optional = new Set(outputs.filter((output) => output.optional === true).map(({ name }) => name));
  const { files, refused } = await collectOutputs(directory, declared);
  const fault = refused.find(({ name, problem }) => problem !== 'missing' || !optional.has(name));
  if (fault !== undefined)
    return { kind: 'unusable', reason: `the declared output ${fault.name} ${PROBLEMS[fault.problem]}` };
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  return bytes > maxBytes
    ? { kind: 'unusable', reason: 'the declared outputs together are over the disk limit of the job' }
    : { kind: 'collected', files };
}

async function readProgress(directory: string): Promise<number | undefined> {
  const opened = await openOutput(directory, { name: PROGRESS_NAME, maxBytes: MAX_PROGRESS_BYTES });
  if (opened.kind === 'refused') return undefined;
  try {
    const bytes = Buffer.alloc(MAX_PROGRESS_BYTES);
    const { bytesRead } = await opened.handle.read(bytes, 0, MAX_PROGRESS_BYTES, 0);
    const text = bytes.toString('latin1', 0, bytesRead).trim();
    const value = text === '' ? Number.NaN : Number(text);
    return value >= 0 && value <= 1 ? value : undefined;
  } finally {
    await opened.handle.close();
  }
}

/** Standard error last: what went wrong is said there. */
async function logTail(paths: readonly string[], maxLength: number): Promise<string> {
  const tails = await Promise.all(paths.map((path) => tailOf(path, maxLength)));
  return tails
    .filter((tail) => tail !== '')
    .join('\n')
    .slice(-maxLength)
    .replace(/^[\uDC00-\uDFFF]/, '');
}

async function tailOf(path: string, maxBytes: number): Promise<string> {
  const handle = await open(path, 'r').catch(() => undefined);
  if (handle === undefined) return ''; // the job was never launched
  try {
    const { size } = await handle.stat();
    const bytes = Buffer.alloc(Math.min(size, maxBytes));
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, size - bytes.length);
    return printable(bytes.toString('utf8', 0, bytesRead));
  } finally {
    await handle.close();
  }
}

/** Without control characters but line breaks and tabs: terminals obey them. */
function printable(text: string): string {
  return text
    .replace(/[^\P{Cc}\n\t]/gu, '')
    .replace(/^\uFFFD+/, '')
    .trimEnd();
}
