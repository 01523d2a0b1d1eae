import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { RunningCommand } from '../doubles/co-pilot-command.ts';
import { removeDirectory, temporaryDirectory } from '../doubles/temporary-directory.ts';
import { writeCampaign } from './campaigns.ts';
import {
  agentProcesses,
  canariesIn,
  leaksInProcesses,
  leaksOnDisk,
  plantGridCredentials,
  secretsOf,
} from './canaries.ts';

const TAP = join(import.meta.dirname, 'programs/plaintext-tap.ts');

let base: string;
let command: RunningCommand | undefined;

beforeEach(async () => {
  base = await temporaryDirectory('once');
});

afterEach(async () => {
  await command?.kill();
  await removeDirectory(base);
});

// proves: E-15
it('up --once runs a campaign to its end, and no secret leaves its place (I10)', async () => {
  const directory = join(base, 'installation');
  const tap = join(base, 'tap');
  await mkdir(tap);
  const grid = await plantGridCredentials(directory);
  const campaign = await writeCampaign(base, {
    name: 'small',
    jobs: 6,
    script: 'sleep 1; echo $((${n} * ${n})) > square.txt; env | gzip > environment.gz',
    outputs: ['square.txt', 'environment.gz'],
  });
  command = new RunningCommand(['up', campaign, '--once', '--json', '--data', directory, '--agents', '3'], {
    env: { ...grid.environment, PLAINTEXT_TAP: tap, NODE_OPTIONS: `--import=${TAP}` },
  });
  await command.says('"phase":"running"', 60_000);
  const canaries = [...grid.canaries, ...(await secretsOf(directory))];
  const processes = command.processes();
  expect(agentProcesses(processes).length).toBeGreaterThanOrEqual(3);
  expect(leaksInProcesses(processes, canaries)).toEqual([]);

  const { code, stdout, stderr } = await command.endsWithin(90_000);
  expect({ code, stderr }).toMatchObject({
    code: 0,
    stderr: expect.stringContaining('6 of 6 jobs finished'),
  });
  const [campaignName = ''] = await readdir(join(directory, 'results'));
  expect(await squares(join(directory, 'results', campaignName))).toEqual([1, 4, 9, 16, 25, 36]);
  for (const line of stdout.trim().split('\n')) expect(JSON.parse(line)).toHaveProperty('kind');

  await expectOneStory(directory);

  const secrets = [...grid.canaries, ...(await secretsOf(directory))];
  expect(secrets.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['the operator token', 'the identity of agent-1', 'the signing key of agent-3']),
  );
  expect(await leaksOnDisk(directory, secrets)).toEqual([]);
  expect(canariesIn(Buffer.from(stdout + stderr), secrets)).toEqual([]);
  const sealed = Buffer.concat(
    await Promise.all((await readdir(tap)).map((file) => readFile(join(tap, file)))),
  );
  for (const kind of [
    'agent-hello',
    'request',
    'job',
    'report',
    'reported',
    'ask',
    'answers',
    'service-hello',
  ])
    expect(sealed.includes(`"kind":"${kind}"`), `a sealed ${kind}`).toBe(true);
  expect(
    canariesIn(
      sealed,
      secrets.filter(({ mayBeSealed }) => !mayBeSealed),
    ),
  ).toEqual([]);
});

type Line = Readonly<Record<string, unknown>>;

async function logOf(directory: string, role: string): Promise<readonly Line[]> {
  const text = await readFile(join(directory, role, 'log'), 'utf8');
  return text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line): Line => JSON.parse(line));
}

/** One job's way from submission to commit, found by its id alone in the logs of all parts. */
async function expectOneStory(directory: string): Promise<void> {
  const [local, broker, bridge] = await Promise.all(
    ['local', 'broker', 'bridge'].map((role) => logOf(directory, role)),
  );
  const { job } = local!.find(({ msg }) => msg === 'job pending')!;
  const story = (lines: readonly Line[] | undefined) => lines!.filter((line) => line['job'] === job);
  const told = (lines: readonly Line[] | undefined) => story(lines).map(({ msg }) => msg);
  expect(told(local).at(-1)).toBe('job finished');
  expect(told(broker)).toEqual([
    'job accepted',
    'attempt leased',
    'attempt reported',
    'result verified',
    'result committed',
    'framework told',
  ]);
  expect(told(bridge)).toEqual(['file taken in', 'file taken in', 'files checked', 'result registered']);
  for (const line of [...story(broker).slice(1, 5), ...story(bridge)])
    expect(line).toMatchObject({ attempt: 1 });
  for (const { owner } of broker!) if (owner !== undefined) expect(owner).toMatch(/^owner-[0-9a-f]{10}$/);
}

async function squares(results: string): Promise<readonly number[]> {
  const jobs = await readdir(results);
  const texts = await Promise.all(jobs.map((job) => readFile(join(results, job, 'square.txt'), 'utf8')));
  return texts.map(Number).sort((a, b) => a - b);
}
