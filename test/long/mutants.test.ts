import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const LIMIT_MS = 30 * 60_000;

it('every mutant of our own code is noticed', () => {
  const program = join(import.meta.dirname, '../mutants/run.ts');
  const { status, stdout, stderr } = spawnSync(process.execPath, [program], {
    encoding: 'utf8',
    timeout: LIMIT_MS,
  });
  const faults = stdout.split('\n').filter((line) => line.includes('FAULT'));
  expect(faults).toEqual([]);
  expect({ status, stderr }).toMatchObject({ status: 0 });
});
