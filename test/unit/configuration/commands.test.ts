import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { parse } from 'yaml';
import { checkUnread } from '../../../cli/doctor/installation.ts';
import { generatedFile, openInstallation } from '../../../cli/installation.ts';
import schema from '../../../cli/configuration/configuration.schema.json' with { type: 'json' };
import { runCommand } from '../../doubles/command-in-process.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const SECRET = 'correct-horse-battery-staple';

let directory: string;
beforeEach(async () => {
  directory = await temporaryDirectory('config');
});
afterEach(() => removeDirectory(directory));

function set(yaml: string): Promise<void> {
  return writeFile(join(directory, 'co-pilot.yaml'), yaml, { mode: 0o600 });
}

function config(...words: readonly string[]) {
  return runCommand(['config', ...words, '--data', directory]);
}

it('check shows each value and where it comes from, those of the first start as well, and no secret', async () => {
  await set('broker:\n  sweepMs: 500\n');
  const { configurations } = await openInstallation({ directory });
  const { code, out } = await config('check', '--set', 'log.level=warn');
  expect(code).toBe(0);
  const lines = out.split('\n').map((line) => line.split(/ {2,}/));
  const file = join(directory, 'co-pilot.yaml');
  expect(lines).toContainEqual(['broker.sweepMs', '500', `${file}:2`]);
  expect(lines).toContainEqual(['log.level', 'warn', '--set log.level']);
  expect(lines).toContainEqual(['log.olderFiles', '4', 'default']);
  const made = generatedFile(directory, 'broker');
  expect(lines).toContainEqual(['ports.bus', String(configurations.broker.busPort), made]);
  expect(out).not.toContain(configurations.bridge.operatorToken);
});

it('check ends with 78 and every place that is wrong', async () => {
  await set(`hots: here\nbroker: { sweepMs: 1 }\nsecrets: { operatorToken: ${SECRET} }\n`);
  const plain = await config('check');
  expect(plain).toMatchObject({ code: 78, out: '', err: expect.stringContaining('3 problems') });
  expect(plain.err).not.toContain(SECRET);
  const { code, out } = await config('check', '--json');
  expect({ code, answer: JSON.parse(out) }).toMatchObject({
    code: 78,
    answer: { error: { code: 'INVALID_CONFIGURATION' }, problems: { length: 3 } },
  });
});

it('check finds a port that was chosen at the first start and is set for something else', async () => {
  const { configurations } = await openInstallation({ directory });
  await set(`metrics: { localPort: ${configurations.bridge.port} }\n`);
  expect(await config('check')).toMatchObject({
    code: 78,
    err: expect.stringContaining('metrics.localPort: is the port of ports.bridge too'),
  });
});

it('check and doctor warn of settings of an earlier version, by their keys alone', async () => {
  await openInstallation({ directory });
  const file = generatedFile(directory, 'local');
  const made = JSON.parse(await readFile(file, 'utf8')) as object;
  const intake = { http: { port: 8405, tokensFile: '/etc/t' } };
  await writeFile(file, JSON.stringify({ ...made, intake, log: { level: SECRET } }), { mode: 0o600 });
  const told = `${file} has intake, log, which is not read from there: set it in co-pilot.yaml`;
  const plain = await config('check');
  expect(plain).toMatchObject({ code: 0, out: expect.stringContaining(`warning: ${told}\n`) });
  expect(plain.out).not.toContain(SECRET);
  expect(JSON.parse((await config('check', '--json')).out)).toMatchObject({ warnings: [told] });
  expect(await checkUnread(directory)).toMatchObject([
    { status: 'warning', detail: expect.stringContaining('intake, log') },
  ]);
});

it('show prints a file that means the same', async () => {
  await set('queues: { night: { share: { owners: { higgs: 3 } } } }\nlog: { jobs: false }\n');
  const shown = await config('show');
  expect(shown).toMatchObject({ code: 0, err: '' });
  expect(parse(shown.out)).toMatchObject({
    queues: { night: { leaseMs: 900_000, share: { weight: 1, owners: { higgs: 3 } } } },
    log: { jobs: false, owners: false },
  });
  await set(shown.out);
  expect((await config('show')).out).toBe(shown.out);
});

it('schema prints the schema', async () => {
  const { code, out } = await runCommand(['config', 'schema']);
  expect({ code, schema: JSON.parse(out) }).toEqual({ code: 0, schema });
});

it('a file that lies elsewhere says where the installation is; an option and the environment go before it', async () => {
  const made = await openInstallation({ directory: join(directory, 'made') });
  const file = join(directory, 'co-pilot-elsewhere.yaml');
  await writeFile(file, `paths: { data: ${made.directory} }\n`, { mode: 0o600 });
  const shown = async (...words: readonly string[]): Promise<string> =>
    (await runCommand(['config', 'check', '--config', file, ...words])).out;
  try {
    expect(await shown()).toContain(generatedFile(made.directory, 'broker'));
    expect(await shown('--data', directory)).not.toContain(generatedFile(made.directory, 'broker'));
  } finally {
    delete process.env['COPILOT_CONFIG'];
  }
});

it('a file in an installation that names another one is wrong', async () => {
  await set('paths: { data: /var/lib/another }\n');
  const found = await config('check');
  expect(found).toMatchObject({
    code: 78,
    err: expect.stringContaining('paths.data: this file lies in an installation'),
  });
  await set(`paths: { data: ${directory} }\n`);
  expect((await config('check')).code).toBe(0);
});
