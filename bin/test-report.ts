import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Reporter, TestModule } from 'vitest/node';

/** What a run of the tests came to. `failed` counts files that did not load and errors nobody caught, too. */
export interface TestReport {
  readonly passed: number;
  readonly failed: number;
  /** Tests that were left out, with the reason each gave. */
  readonly leftOut: readonly LeftOut[];
}

export interface LeftOut {
  readonly name: string;
  readonly reason: string;
}

/** Vitest's results as a `TestReport`. */
export function report(modules: readonly TestModule[], uncaught: number): TestReport {
  const tests = modules.flatMap((module) => [...module.children.allTests()]);
  const broken = modules.reduce((count, module) => count + brokenSuites(module), uncaught);
  const count = (state: string): number => tests.filter((test) => test.result().state === state).length;
  return { passed: count('passed'), failed: count('failed') + broken, leftOut: tests.flatMap(leftOut) };
}

/** Files that did not load and suites whose set-up failed: their tests never ran. */
function brokenSuites(module: TestModule): number {
  const suites = [...module.children.allSuites()].filter((suite) => suite.errors().length > 0);
  return suites.length + (module.errors().length > 0 ? 1 : 0);
}

type Test = ReturnType<TestModule['children']['allTests']> extends Iterable<infer T> ? T : never;

function leftOut(test: Test): readonly LeftOut[] {
  const result = test.result();
  if (result.state !== 'skipped') return [];
  const name = `${test.module.relativeModuleId}: ${test.fullName}`;
  return [{ name, reason: result.note ?? 'no reason given' }];
}

/** A vitest reporter that writes the `TestReport` to the file named by COPILOT_TEST_REPORT. */
export default class TestReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], uncaught: readonly unknown[]): void {
    const file = process.env['COPILOT_TEST_REPORT'];
    if (file === undefined) return;
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, JSON.stringify(report(modules, uncaught.length)));
  }
}
