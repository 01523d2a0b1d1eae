import { describe, expect, it } from 'vitest';
import { runChecks } from '../../../bin/run-checks.ts';
import type { CheckResult } from '../../../bin/run-checks.ts';

const options = { cwd: process.cwd(), atOnce: 2, limitMs: 20_000 };
const says = (name: string, code: number): { name: string; args: string[] } => ({
  name,
  args: ['-e', `console.log('out'); console.error('err'); process.exitCode = ${code}`],
});

describe('checks', () => {
  it('each count by their exit code, and none keeps another from running', async () => {
    const told: CheckResult[] = [];
    const results = await runChecks([says('a', 1), says('b', 0), says('c', 2)], options, (one) =>
      told.push(one),
    );
    const byName = results.toSorted((one, other) => one.name.localeCompare(other.name));
    expect(byName.map(({ name, ok }) => [name, ok])).toEqual([
      ['a', false],
      ['b', true],
      ['c', false],
    ]);
    expect(byName[0]?.output.split('\n').toSorted()).toEqual(['err', 'out']);
    expect(told).toEqual(results);
  });

  it('that take too long are ended and have failed', async () => {
    const endless = { name: 'endless', args: ['-e', 'setInterval(() => {}, 1000)'] };
    const [result] = await runChecks([endless], { ...options, limitMs: 200 }, () => undefined);
    expect(result).toMatchObject({ ok: false });
    expect(result?.output).toMatch(/^ended by SIGTERM after/);
  });
});
