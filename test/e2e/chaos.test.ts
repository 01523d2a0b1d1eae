import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Loss } from '../../cli/losses.ts';
import { RunningCommand } from '../doubles/co-pilot-command.ts';
import { removeDirectory, temporaryDirectory } from '../doubles/temporary-directory.ts';
import { writeCampaign } from './campaigns.ts';
import { canariesIn, leaksOnDisk, plantGridCredentials, secretsOf } from './canaries.ts';

const MAX_MS = 4 * 60_000;
const JOBS = 64;
/** Lease and sweep of the demo's queue; twice, since the broker's own death gives every lease a fresh start. */
const LEASED_AGAIN_MS = 2 * (10_000 + 1_000);
/** For a busy machine. */
const SLACK_MS = 10_000;

let base: string;
let command: RunningCommand | undefined;

beforeEach(async () => {
  base = await temporaryDirectory('chaos');
});

afterEach(async () => {
  await command?.kill();
  await removeDirectory(base);
});

it('up --chaos ends complete and proved, with every lost attempt leased again (I1, I3, I4, I10)', async () => {
  const directory = join(base, 'installation');
  const grid = await plantGridCredentials(directory);
  const campaign = await writeCampaign(base, {
    name: 'chaos',
    jobs: JOBS,
    script: 'sleep 3; echo $((${n} + 1)) > next.txt',
    outputs: ['next.txt'],
    retries: 2,
  });
  command = new RunningCommand(['up', campaign, '--chaos', '--once', '--json', '--data', directory], {
    env: grid.environment,
  });
  const { code, stdout, stderr } = await command.endsWithin(MAX_MS);
  expect({ code, stderr }).toMatchObject({
    code: 0,
    stderr: expect.stringContaining(`ledger: ${JOBS} of ${JOBS} jobs committed exactly once`),
  });
  expect(stderr).toContain(`${JOBS} of ${JOBS} jobs finished, 0 failed`);
  expect(stderr).toContain(`${JOBS} output files`);

  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
  for (const blow of ['is killed', 'is stopped', 'is continued', 'the broker is killed'])
    expect(
      lines.filter(({ kind, text }) => kind === 'note' && text?.includes(blow)),
      blow,
    ).not.toEqual([]);
  const losses = lines.findLast(({ kind }) => kind === 'losses')?.losses ?? [];
  const again = losses.filter(({ end }) => end?.kind === 'leased-again');
  expect(again.length).toBeGreaterThan(0);
  for (const { end } of again) expect(end?.afterMs).toBeLessThan(LEASED_AGAIN_MS + SLACK_MS);

  const secrets = [...grid.canaries, ...(await secretsOf(directory))];
  expect(await leaksOnDisk(directory, secrets)).toEqual([]);
  expect(canariesIn(Buffer.from(stdout + stderr), secrets)).toEqual([]);
});

interface Line {
  readonly kind: string;
  readonly text?: string;
  readonly losses?: readonly Loss[];
}
