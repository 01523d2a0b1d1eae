/**
 * What `npm run check` runs: everything about the code that no test says. With names, only those:
 * `npm run check -- lint types`.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runChecks } from './run-checks.ts';
import type { Check } from './run-checks.ts';

const checkout = join(import.meta.dirname, '..');
const tool = (name: string): string => join('node_modules', '.bin', name);

/** The longest first, so that two at a time end early. */
const CHECKS: readonly Check[] = [
  { name: 'lint', args: [tool('oxlint'), '--format=unix', '.'] },
  { name: 'types', args: [tool('tsc'), '--noEmit'] },
  { name: 'unused code', args: [tool('knip'), '--no-progress'] },
  {
    name: 'layers',
    args: [tool('depcruise'), '--config', '.dependency-cruiser.cjs', '.'],
  },
  { name: 'generated files', args: ['protocol/schemas/generate.ts', '--check'] },
  { name: 'format', args: [tool('biome'), 'format', '--reporter=summary', '.'] },
  { name: 'secrets and paths', args: ['bin/scan.ts'] },
];

async function main(asked: readonly string[]): Promise<number> {
  const unknown = asked.filter((name) => !CHECKS.some((check) => check.name === name));
  if (unknown.length > 0) {
    console.error(
      `no such check: ${unknown.join(', ')}; there are ${CHECKS.map(({ name }) => name).join(', ')}`,
    );
    return 1;
  }
  const chosen = asked.length === 0 ? CHECKS : CHECKS.filter(({ name }) => asked.includes(name));
  const results = await runChecks(chosen, { cwd: checkout, atOnce: 2, limitMs: 30 * 60_000 }, print);
  const passed = results.filter(({ ok }) => ok).length;
  const failed = results.length - passed;
  mkdirSync(join(checkout, '.run', 'check'), { recursive: true });
  writeFileSync(join(checkout, '.run', 'check', 'report.json'), JSON.stringify({ passed, failed }));
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

function print({ name, ok, seconds, output }: Awaited<ReturnType<typeof runChecks>>[number]): void {
  console.log(`${ok ? 'ok    ' : 'FAILED'}  ${name}  ${seconds.toFixed(1)} s`);
  if (!ok) console.log(output);
}

process.exitCode = await main(process.argv.slice(2));
