import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Report } from '../../conformance/report.ts';
import { coPilot, RunningCommand } from '../doubles/co-pilot-command.ts';
import { eventuallyTrue } from '../doubles/eventually.ts';
import { removeDirectory, temporaryDirectory } from '../doubles/temporary-directory.ts';

const REPOSITORY = resolve(import.meta.dirname, '../..');
const LIMIT = { timeout: 900_000 };
const SETTINGS =
  'queues: { short: { leaseMs: 3000, firstRenewMs: 3000 } }\nbroker: { sweepMs: 500 }\nup: { agents: 0 }\n';

let directory: string;

beforeEach(async () => {
  directory = await temporaryDirectory('conformance');
});
afterEach(() => removeDirectory(directory));

const words = (...all: readonly string[]): string => all.map((word) => `"${word}"`).join(' ');
const ours = (...all: readonly string[]): string =>
  words(process.execPath, join(REPOSITORY, 'co-pilot.ts'), ...all, '--data', directory);

async function held(...options: readonly string[]): Promise<Report> {
  const suite = new RunningCommand([
    'conformance',
    ...options,
    '--level',
    'robust',
    '--json',
    '--patience',
    '3',
  ]);
  const { stdout } = await suite.endsWithin(LIMIT.timeout);
  const report = JSON.parse(stdout) as Report;
  const failed = report.results.filter(({ outcome }) => outcome.kind === 'failed');
  expect(failed).toEqual([]);
  return report;
}

it('as docs/conformance.md says, `co-pilot up` passes the suite for brokers', LIMIT, async () => {
  await writeFile(join(directory, 'co-pilot.yaml'), SETTINGS, { mode: 0o600 });
  const up = new RunningCommand(['up', '--no-demo', '--data', directory]);
  try {
    const asks = async (): Promise<boolean> =>
      (await coPilot(['queue', 'list', '--data', directory])).code === 0;
    await eventuallyTrue('the installation to answer', asks, 60_000);
    const codes: string[] = [];
    while (codes.length < 3) {
      const { stdout } = await coPilot(['agent', 'code', '--json', '--data', directory]);
      codes.push((JSON.parse(stdout) as { readonly code: string }).code);
    }
    const file = join(directory, 'codes.txt');
    await writeFile(file, `${codes.join('\n')}\n`, { mode: 0o600 });
    const report = await held(
      ...['broker', '--at-once', '3', '--enrolment-code-file', file, '--queue', 'short'],
      ...['--submit', ours('job', 'submit', '{campaign}', '--json')],
      ...['--cancel', ours('job', 'cancel', '{job}')],
      ...['--revoke', ours('agent', 'revoke', '{agent}', '--yes')],
    );
    expect(report.passed).toBeGreaterThan(380);
  } finally {
    up.signal('SIGTERM');
    await up.endsWithin(60_000);
  }
});

const program = join(REPOSITORY, 'test/doubles/adapter-command.ts');
const adapter = (what: string, ...all: readonly string[]): string =>
  words(process.execPath, program, what, directory, ...all);

it('the local job adapter passes the suite for adapters as a command', LIMIT, async () => {
  const report = await held(
    ...['adapter', '--kind', 'job', '--command', adapter('job', '{configuration}')],
    ...['--submit', adapter('submit', '{file}', '{queue}'), '--cancel', adapter('cancel', '{job}')],
  );
  expect(report.passed).toBeGreaterThan(35);
});

it('the Data Bridge passes the suite for adapters as a command', LIMIT, async () => {
  const report = await held(
    ...['adapter', '--kind', 'storage', '--command', adapter('storage', '{configuration}')],
    ...['--put-input', adapter('put-input', '{file}')],
  );
  expect(report.passed).toBeGreaterThan(90);
});
