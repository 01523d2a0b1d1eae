import { type Case, isWithin, type Level, type Outcome, SubjectUnavailable, type Suite } from './case.ts';
import { Failed } from './expectation.ts';
import { reportOf, type Report, type Result } from './report.ts';

/** What a run tells while it goes on. */
export type ProgressEvent =
  | { readonly kind: 'begun'; readonly cases: number }
  | { readonly kind: 'ended'; readonly result: Result; readonly done: number; readonly cases: number };

export interface RunOptions {
  /** Cases up to this level. */
  readonly level: Level;
  /** Only these ids, of whatever level. */
  readonly only?: readonly string[];
  /** Cases at once. */
  readonly atOnce: number;
  /** Every deadline is multiplied by it. */
  readonly patience: number;
  readonly signal: AbortSignal;
  readonly onProgress?: (event: ProgressEvent) => void;
}

const DEFAULT_WITHIN_SECONDS = 30;

/**
 * Runs the chosen cases of a suite and closes it. Rejects with `SubjectUnavailable`, or with the signal's reason; a case that
 * fails is a result.
 */
export async function runSuite<S>(suite: Suite<S>, options: RunOptions): Promise<Report> {
  const begunMs = performance.now();
  const chosen = chosenCases(suite.cases, options);
  const results = new Map<string, Result>();
  options.onProgress?.({ kind: 'begun', cases: chosen.length });
  const note = (result: Result): void => {
    results.set(result.id, result);
    options.onProgress?.({ kind: 'ended', result, done: results.size, cases: chosen.length });
  };
  try {
    for (const turn of ['together', 'alone', 'last'] as const) {
      const cases = chosen.filter((testCase) => (testCase.turn ?? 'together') === turn);
      await runAtOnce(suite, cases, turn === 'together' ? options.atOnce : 1, options, note);
    }
  } finally {
    await suite.close();
  }
  const inOrder = chosen.flatMap(({ id }) => results.get(id) ?? []);
  return reportOf(suite.kind, options.level, inOrder, (performance.now() - begunMs) / 1000);
}

/** Cases that `only` or else the level chooses. */
export function chosenCases<C extends Pick<Case<never>, 'id' | 'level'>>(
  cases: readonly C[],
  { level, only }: Pick<RunOptions, 'level' | 'only'>,
): readonly C[] {
  return cases.filter((testCase) =>
    only === undefined ? isWithin(testCase.level, level) : only.includes(testCase.id),
  );
}

async function runAtOnce<S>(
  suite: Suite<S>,
  cases: readonly Case<S>[],
  atOnce: number,
  options: RunOptions,
  note: (result: Result) => void,
): Promise<void> {
  const waiting = [...cases];
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      signal.throwIfAborted();
      note(await runCase(suite, next, options.patience, signal));
    }
  };
  const workers = Array.from({ length: Math.min(atOnce, cases.length) }, async () => {
    try {
      await worker();
    } catch (caught) {
      // One worker cannot go on: the others need not finish what they do, and the first reason counts.
      stop.abort(caught);
      throw caught;
    }
  });
  const ended = await Promise.allSettled(workers);
  if (ended.some(({ status }) => status === 'rejected')) {
    options.signal.throwIfAborted();
    stop.signal.throwIfAborted();
  }
}

async function runCase<S>(
  suite: Suite<S>,
  testCase: Case<S>,
  patience: number,
  signal: AbortSignal,
): Promise<Result> {
  const begunMs = performance.now();
  const { outcome, evidence } = await judge(suite, testCase, patience, signal);
  const { id, title, requirements, level } = testCase;
  return { id, title, requirements, level, outcome, evidence, seconds: (performance.now() - begunMs) / 1000 };
}

interface Judged {
  readonly outcome: Outcome;
  readonly evidence: string;
}

async function judge<S>(
  suite: Suite<S>,
  testCase: Case<S>,
  patience: number,
  signal: AbortSignal,
): Promise<Judged> {
  const lacking = testCase.needs?.map((need) => suite.lacks(need)).find((reason) => reason !== undefined);
  if (lacking !== undefined) return { outcome: { kind: 'not-applicable', reason: lacking }, evidence: '' };
  const seconds = (testCase.withinSeconds ?? DEFAULT_WITHIN_SECONDS) * patience;
  const deadline = new AbortController();
  const timer = setTimeout(
    () => deadline.abort(new Failed(`it took longer than ${seconds} s`)),
    seconds * 1000,
  );
  const both = AbortSignal.any([signal, deadline.signal]);
  try {
    return await judgeLent(suite, testCase, both, signal);
  } finally {
    clearTimeout(timer);
  }
}

async function judgeLent<S>(
  suite: Suite<S>,
  testCase: Case<S>,
  both: AbortSignal,
  stop: AbortSignal,
): Promise<Judged> {
  let lent;
  try {
    lent = await suite.lend(testCase, both);
  } catch (caught) {
    return { outcome: failureOf(caught, stop), evidence: '' };
  }
  let outcome: Outcome = { kind: 'passed' };
  try {
    await testCase.run(lent.subject, both);
    return { outcome, evidence: await lent.giveBack(outcome) };
  } catch (caught) {
    outcome = { kind: 'failed', reason: wordsOf(caught) };
    const evidence = await lent.giveBack(outcome);
    return { outcome: failureOf(caught, stop), evidence };
  }
}

/** What the run as a whole cannot survive is thrown on. */
function failureOf(caught: unknown, stop: AbortSignal): Outcome {
  if (caught instanceof SubjectUnavailable) throw caught;
  stop.throwIfAborted();
  return { kind: 'failed', reason: wordsOf(caught) };
}

function wordsOf(caught: unknown): string {
  if (caught instanceof Failed) return caught.message;
  return caught instanceof Error ? `${caught.name}: ${caught.message}` : String(caught);
}
