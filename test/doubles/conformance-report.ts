import { expect } from 'vitest';
import type { Suite } from '../../conformance/case.ts';
import { resultLine } from '../../conformance/report-text.ts';
import type { Report } from '../../conformance/report.ts';
import { runSuite, type RunOptions } from '../../conformance/run.ts';

/** Runs a suite with the patience of a busy machine. */
export function judged<S>(suite: Suite<S>, options: Partial<RunOptions>): Promise<Report> {
  const signal = new AbortController().signal;
  return runSuite(suite, { level: 'full', atOnce: 3, patience: 3, signal, ...options });
}

/** Every case passed, but for those that need what the subject lacks. */
export function expectAllPassed(report: Report, applicable: number): void {
  const failed = report.results.filter(({ outcome }) => outcome.kind === 'failed');
  expect(failed.map(resultLine)).toEqual([]);
  expect(report.passed).toBeGreaterThanOrEqual(applicable);
}

/** The fault is caught by those cases at least. */
export function expectCaught(report: Report, ids: readonly string[]): void {
  const failed = report.results.filter(({ outcome }) => outcome.kind === 'failed').map(({ id }) => id);
  expect(failed).toEqual(expect.arrayContaining([...ids]));
}
