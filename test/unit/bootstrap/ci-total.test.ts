import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const program = join(import.meta.dirname, '..', '..', '..', 'bin', 'ci-total.mjs');
let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'co-pilot-ci-'));
  mkdirSync(join(root, 'bin'));
  cpSync(program, join(root, 'bin', 'ci-total.mjs'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function report(name: string, content: string | undefined): void {
  if (content === undefined) return;
  mkdirSync(join(root, '.run', name), { recursive: true });
  writeFileSync(join(root, '.run', name, 'report.json'), content);
}

describe('the last line of CI', () => {
  it.each([
    ['all is well', '{"passed":90,"failed":0}', 0, '{"passed":7,"failed":0}', 0, '97 passed, 0 failed', 0],
    ['a test failed', '{"passed":89,"failed":1}', 1, '{"passed":7,"failed":0}', 0, '96 passed, 1 failed', 1],
    ['a check failed', '{"passed":90,"failed":0}', 0, '{"passed":5,"failed":2}', 1, '95 passed, 2 failed', 1],
    [
      'only the exit code tells',
      '{"passed":9,"failed":0}',
      1,
      '{"passed":7,"failed":0}',
      0,
      '16 passed, 1 failed',
      1,
    ],
    ['no test ran', '{"passed":0,"failed":0}', 0, '{"passed":7,"failed":0}', 0, '7 passed, 1 failed', 1],
    ['the tests were killed', undefined, 137, '{"passed":7,"failed":0}', 0, '7 passed, 1 failed', 1],
    ['a report was cut short', '{"passed":9,', 0, '{"passed":7,"failed":0}', 0, '7 passed, 1 failed', 1],
    ['nothing was left', undefined, 1, undefined, 1, '0 passed, 2 failed', 1],
  ])('where %s', (_, tests, testsExit, checks, checksExit, line, exit) => {
    report('test', tests);
    report('check', checks);
    const done = spawnSync(
      process.execPath,
      [join(root, 'bin', 'ci-total.mjs'), String(testsExit), String(checksExit)],
      { encoding: 'utf8' },
    );
    expect(done.stdout).toBe(`${line}\n`);
    expect(done.status).toBe(exit);
  });
});
