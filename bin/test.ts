/**
 * What `npm test` runs: the tests under vitest, then what they came to. `--long` adds the long ones, `--servers` lets it
 * install the Debian packages that tests use; everything else goes to vitest.
 */
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { installDebianPackages, missingDebianPackages } from './debian-packages.ts';
import type { TestReport } from './test-report.ts';

const checkout = join(import.meta.dirname, '..');
const reportFile = join(checkout, '.run', 'test', 'report.json');
/** Hundreds of programs are started, most of them many times. */
const compiled = join(checkout, '.tools', 'compiled');
const PROJECTS = ['unit', 'integration', 'simulation', 'e2e'];
const LIMIT_MINUTES = { usual: 45, long: 80 };

interface Options {
  readonly long: boolean;
  readonly install: boolean;
  readonly ci: boolean;
  readonly passedOn: readonly string[];
}

function options(args: readonly string[]): Options {
  const ci = process.env['CI'] === 'true';
  return {
    long: args.includes('--long'),
    install: ci || args.includes('--servers'),
    ci,
    passedOn: args.filter((arg) => arg !== '--long' && arg !== '--servers'),
  };
}

/** False where the tests cannot run. */
function prepareDebianPackages({ install, long }: Options): boolean {
  const lists = ['debian-packages.txt', ...(long ? ['debian-packages-long.txt'] : [])];
  const missing = lists.flatMap((list) => missingDebianPackages(join(checkout, 'test', list)) ?? []);
  if (missing.length === 0) return true;
  const names = missing.join(' ');
  if (!install) {
    console.error(
      `Not installed: ${names}. What needs them is left out; \`npm test -- --servers\` installs.`,
    );
    return true;
  }
  console.error(`Installing Debian packages: ${names} ...`);
  const failure = installDebianPackages(missing);
  if (failure !== undefined) console.error(failure);
  return failure === undefined;
}

/** In CI the seed of random tests follows the commit: another one each time, and the same one when it is run again. */
function seed({ ci }: Options): Record<string, string> {
  if (!ci || process.env['SEED'] !== undefined) return {};
  const head = spawnSync('git', ['rev-parse', 'HEAD'], { cwd: checkout, encoding: 'utf8' }).stdout.trim();
  const value = Number.parseInt(head.slice(0, 7), 16);
  if (!Number.isSafeInteger(value)) return {};
  console.error(`SEED=${value} (from the commit)`);
  return { SEED: String(value) };
}

/** Vitest's exit code, or undefined where the time was up. */
function runVitest(chosen: Options): Promise<number | undefined> {
  const projects = chosen.long ? [...PROJECTS, 'long'] : PROJECTS;
  const args = [
    join(checkout, 'node_modules', 'vitest', 'vitest.mjs'),
    'run',
    ...(chosen.passedOn.includes('--project') ? [] : projects.flatMap((name) => ['--project', name])),
    '--reporter=default',
    `--reporter=${join(import.meta.dirname, 'test-report.ts')}`,
    ...chosen.passedOn,
  ];
  const minutes = chosen.long ? LIMIT_MINUTES.long : LIMIT_MINUTES.usual;
  const child = spawn(process.execPath, args, {
    cwd: checkout,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...seed(chosen), NODE_COMPILE_CACHE: compiled, COPILOT_TEST_REPORT: reportFile },
    timeout: minutes * 60_000,
    killSignal: 'SIGKILL',
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? undefined));
  });
}

function readReport(): TestReport | undefined {
  try {
    return JSON.parse(readFileSync(reportFile, 'utf8')) as TestReport;
  } catch {
    return undefined; // vitest did not get as far as its report; its exit code and output say why
  }
}

function summarise({ passed, failed, leftOut }: TestReport, seconds: number): void {
  console.log(`\n${passed} passed, ${failed} failed, ${leftOut.length} left out, in ${seconds.toFixed(0)} s`);
  for (const { name, reason } of leftOut) console.log(`  left out: ${name} (${reason})`);
}

async function main(): Promise<number> {
  const chosen = options(process.argv.slice(2));
  rmSync(reportFile, { force: true });
  if (!prepareDebianPackages(chosen)) return 1;
  const started = performance.now();
  const code = await runVitest(chosen);
  const result = readReport();
  if (code === undefined) console.error('The tests took too long and were ended.');
  if (result === undefined) return code === undefined || code === 0 ? 1 : code;
  summarise(result, (performance.now() - started) / 1000);
  if (result.passed + result.failed === 0) console.error('No test ran.');
  const leftOutInCi = chosen.ci && result.leftOut.length > 0;
  if (leftOutInCi) console.error('CI leaves nothing out: install what is missing above.');
  return code === 0 && result.failed === 0 && result.passed > 0 && !leftOutInCi ? 0 : 1;
}

process.exitCode = await main();
