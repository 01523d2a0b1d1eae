import { spawn } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Catcher, titlePattern } from './mutant.ts';

/** What a catcher says of a checkout. */
export type Said =
  | { readonly kind: 'well' }
  | { readonly kind: 'wrong'; readonly what: string }
  /** It did not come to judge: it did not start, found no such test, or took too long. */
  | { readonly kind: 'no-judgement'; readonly why: string };

const LIMIT_MS = 240_000;
const TEST_LIMIT_MS = 150_000;
const REPORT = '.run/catch.json';

/** A command ends with it where it did not come to judge. */
export const NO_JUDGEMENT = 69;

/** Runs a catcher in a copy of the checkout. */
export async function askCatcher(catcher: Catcher, directory: string): Promise<Said> {
  if (catcher.kind === 'test') return askTest(catcher, directory);
  const [program = '', ...rest] = catcher.words;
  const ended = await run(program === 'node' ? process.execPath : program, rest, directory);
  if (ended.code === undefined || ended.code === NO_JUDGEMENT)
    return { kind: 'no-judgement', why: ended.why };
  return ended.code === 0 ? { kind: 'well' } : { kind: 'wrong', what: `exit code ${ended.code}` };
}

async function askTest(
  { file, title }: Extract<Catcher, { kind: 'test' }>,
  directory: string,
): Promise<Said> {
  const report = join(directory, REPORT);
  await rm(report, { force: true });
  const vitest = join(directory, 'node_modules/vitest/vitest.mjs');
  const words = [
    ...[vitest, 'run', file, '-t', titlePattern(title)],
    ...['--reporter=json', `--outputFile=${report}`],
    // A busy machine must not look like a fault.
    ...[`--testTimeout=${TEST_LIMIT_MS}`, `--hookTimeout=${TEST_LIMIT_MS}`],
  ];
  const ended = await run(process.execPath, words, directory);
  if (ended.code === undefined) return { kind: 'no-judgement', why: ended.why };
  const found = await readReport(report);
  if (found === undefined) return { kind: 'no-judgement', why: `no report: ${ended.why}` };
  const failed = found.find(({ status }) => status === 'failed');
  if (failed !== undefined) return { kind: 'wrong', what: failed.fullName };
  const hasPassed = found.some(({ status }) => status === 'passed');
  return hasPassed ? { kind: 'well' } : { kind: 'no-judgement', why: `no test of that title ran` };
}

interface Assertion {
  readonly status: string;
  readonly fullName: string;
}

/** Undefined where the file could not even be loaded: that is no judgement, whatever else is wrong with it. */
async function readReport(path: string): Promise<readonly Assertion[] | undefined> {
  try {
    const { testResults } = JSON.parse(await readFile(path, 'utf8')) as {
      readonly testResults: readonly { readonly assertionResults: readonly Assertion[] }[];
    };
    const found = testResults.flatMap(({ assertionResults }) => assertionResults);
    return found.length === 0 ? undefined : found;
  } catch {
    return undefined; // the caller says so
  }
}

interface Ended {
  /** Undefined where it did not end by itself. */
  readonly code: number | undefined;
  readonly why: string;
}

function run(program: string, words: readonly string[], cwd: string): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(program, [...words], {
      cwd,
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: LIMIT_MS,
      killSignal: 'SIGKILL',
      env: { ...process.env, SEED: process.env['SEED'] ?? '1' },
    });
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(-500);
    });
    child.on('error', (error) => resolve({ code: undefined, why: error.message }));
    child.on('close', (code, signal) =>
      resolve({
        code: code ?? undefined,
        why: signal === null ? complaint.trim() : `${signal} after ${LIMIT_MS / 1000} s`,
      }),
    );
  });
}
