import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { FRAMEWORK_KINDS } from '../../cli/framework-kinds.ts';
import { RunningCommand } from '../doubles/co-pilot-command.ts';
import { removeDirectory, temporaryDirectory } from '../doubles/temporary-directory.ts';

let base: string;
let command: RunningCommand | undefined;

beforeEach(async () => {
  base = await temporaryDirectory('framework-demo');
});

afterEach(async () => {
  await command?.kill();
  await removeDirectory(base);
});

/** The queue of CMS@home is a server itself: there is nobody to stand in for. */
const KINDS = Object.keys(FRAMEWORK_KINDS).filter((kind) =>
  existsSync(join(import.meta.dirname, '../doubles', kind, 'main.ts')),
);

it.each(KINDS)(
  'up --framework %s runs jobs that were submitted to it by its own way, until it says that they have finished',
  async (kind) => {
    const place = ['--data', join(base, 'installation'), '--agents', '2', '--jobs', '6'];
    command = new RunningCommand(['up', '--framework', kind, '--once', ...place]);
    const { code, stdout, stderr } = await command.endsWithin(180_000);
    expect({ code, stdout, stderr }).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`6 of 6 jobs finished, says ${kind}`),
    });
  },
);

it('up --framework says which there are', async () => {
  command = new RunningCommand([
    'up',
    '--framework',
    'pandas',
    '--once',
    '--data',
    join(base, 'installation'),
  ]);
  const { code, stderr } = await command.endsWithin(60_000);
  expect(code).not.toBe(0);
  expect(stderr).toContain('http-queue');
});
