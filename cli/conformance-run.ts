import { writeFile } from 'node:fs/promises';
import {
  type CaseFacts,
  type Level,
  LEVELS,
  type SubjectKind,
  SubjectUnavailable,
  type Suite,
} from '../conformance/case.ts';
import { junitReport } from '../conformance/report-junit.ts';
import { countLine, resultLine, textReport } from '../conformance/report-text.ts';
import { chosenCases, runSuite } from '../conformance/run.ts';
import { casesOf } from '../conformance/suites.ts';
import { CoPilotError } from '../protocol/errors.ts';
import { createOutput, EXIT, type Output, show, table } from './command-line.ts';

/** Options every suite takes. */
export interface SuiteOptions {
  readonly level: string;
  readonly only?: readonly string[];
  readonly list?: boolean;
  readonly json?: boolean;
  readonly junit?: string;
  readonly atOnce: string;
  readonly patience: string;
}

const MOST_AT_ONCE = 64;
const MOST_PATIENCE = 100;

/**
 * Lists the cases of a suite, or runs them: progress on standard error, the report on standard output. `open` is called where
 * there is something to run. The exit code says whether every case passed.
 */
export async function runConformance<S>(
  kind: SubjectKind,
  options: SuiteOptions,
  open: () => Suite<S> | Promise<Suite<S>>,
): Promise<number> {
  const output = createOutput(options.json === true);
  const chosen = choose(kind, options);
  if (typeof chosen === 'string') {
    output.note(`co-pilot: ${chosen}`);
    return EXIT.usage;
  }
  if (options.list === true) {
    list(output, chosen.cases);
    return EXIT.ok;
  }
  try {
    return await run(output, options, chosen, await open());
  } catch (caught) {
    if (!(caught instanceof SubjectUnavailable)) throw caught;
    throw new CoPilotError('UNREACHABLE', caught.message, { cause: caught });
  }
}

interface Chosen {
  readonly level: Level;
  readonly atOnce: number;
  readonly patience: number;
  readonly cases: readonly CaseFacts[];
}

/** What is asked for, or what is wrong with it. */
function choose(kind: SubjectKind, options: SuiteOptions): Chosen | string {
  const level = LEVELS.find((entry) => entry === options.level);
  if (level === undefined) return `--level is one of ${LEVELS.join(', ')}`;
  const atOnce = Number(options.atOnce);
  if (!Number.isInteger(atOnce) || atOnce < 1 || atOnce > MOST_AT_ONCE)
    return `--at-once takes a whole number from 1 to ${MOST_AT_ONCE}`;
  const patience = Number(options.patience);
  if (!(patience > 0 && patience <= MOST_PATIENCE)) return `--patience takes a number up to ${MOST_PATIENCE}`;
  const all = casesOf(kind);
  const unknown = options.only?.filter((id) => all.every((testCase) => testCase.id !== id)) ?? [];
  if (unknown.length > 0) return `there is no case ${unknown.join(', ')}; --list shows all`;
  const cases = chosenCases(all, { level, ...(options.only !== undefined && { only: options.only }) });
  return { level, atOnce, patience, cases };
}

function list(output: Output, cases: readonly CaseFacts[]): void {
  const facts = cases.map(({ id, level, title, requirements, needs = [] }) => ({
    id,
    level,
    title,
    requirements,
    needs,
  }));
  show(output, { cases: facts }, () =>
    table(
      ['CASE', 'LEVEL', 'REQUIREMENTS', 'TITLE'],
      facts.map(({ id, level, requirements, title }) => [id, level, requirements.join(' '), title]),
    ),
  );
}

async function run<S>(
  output: Output,
  options: SuiteOptions,
  chosen: Chosen,
  suite: Suite<S>,
): Promise<number> {
  const stop = new AbortController();
  const onSignal = (): void => stop.abort(new CoPilotError('TIMEOUT', 'the run was interrupted'));
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, onSignal);
  try {
    const report = await runSuite(suite, {
      level: chosen.level,
      ...(options.only !== undefined && { only: options.only }),
      atOnce: chosen.atOnce,
      patience: chosen.patience,
      signal: stop.signal,
      onProgress(event) {
        if (event.kind === 'ended') output.note(`${event.done}/${event.cases}  ${resultLine(event.result)}`);
      },
    });
    if (options.junit !== undefined) await writeFile(options.junit, junitReport(report));
    show(output, report, () => textReport(report));
    if (output.json) output.note(countLine(report));
    return report.failed === 0 ? EXIT.ok : EXIT.failed;
  } catch (caught) {
    if (stop.signal.aborted) return EXIT.interrupted;
    throw caught;
  } finally {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, onSignal);
  }
}
