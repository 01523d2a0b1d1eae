import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openInstallation } from '../../../cli/installation.ts';
import { coPilot } from '../../doubles/co-pilot-command.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

let base: string;

beforeAll(async () => {
  base = await temporaryDirectory('damaged');
});

afterAll(() => removeDirectory(base));

const EXIT_DISK = 74;
const EXIT_CONFIGURATION = 78;

const noise = (length: number): Buffer => Buffer.alloc(length, 'no database at all ');

/** A database that was right until somebody wrote into the middle of it. */
function torn(path: string): void {
  const database = new DatabaseSync(path);
  database.exec('CREATE TABLE job (id TEXT PRIMARY KEY, row TEXT) STRICT; PRAGMA page_size = 4096;');
  database.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
    INSERT INTO job SELECT 'job ' || i, hex(randomblob(200)) FROM n;`);
  database.close();
}

it.each([
  ['broker/ledger.sqlite', 'LEDGER_CORRUPT', /move it .* aside/, EXIT_DISK],
  ['broker/codes.sqlite', 'LEDGER_CORRUPT', /move it .* aside/, EXIT_DISK],
  ['local/queue.sqlite', 'QUEUE_CORRUPT', /queue\.sqlite/, EXIT_DISK],
  ['bridge/registry.sqlite', 'STORAGE_CORRUPT', /registry\.sqlite/, EXIT_DISK],
  ['broker/config.json', 'INVALID_CONFIGURATION', /restore it/, EXIT_CONFIGURATION],
])(
  '%s that is noise stops the start: %s, the next step, and not a byte of it is touched',
  async (file, code, nextStep, exit) => {
    const directory = join(base, file.replaceAll('/', '-'));
    await openInstallation({ directory });
    const path = join(directory, file);
    await writeFile(path, noise(20_000));
    const up = ['up', '--no-demo', '--agents', '0', '--json', '--data', directory];
    const ended = await coPilot(up);
    const said = JSON.parse(ended.stdout.trim().split('\n').at(-1) ?? '') as {
      error: { code: string; message: string };
    };
    expect({ exit: ended.code, code: said.error.code }).toEqual({ exit, code });
    expect(said.error.message).toMatch(nextStep);
    expect(said.error.message).toContain(path);
    expect(await readFile(path)).toEqual(noise(20_000));
  },
);

it('a ledger that was torn in the middle stops the start too, and is left as it is', async () => {
  const directory = join(base, 'torn');
  await openInstallation({ directory });
  const path = join(directory, 'broker/ledger.sqlite');
  torn(path);
  const bytes = await readFile(path);
  bytes.fill(0xa5, 8_192, 24_576);
  await writeFile(path, bytes);
  const ended = await coPilot(['up', '--no-demo', '--agents', '0', '--data', directory]);
  expect(ended).toMatchObject({ code: EXIT_DISK, stderr: expect.stringContaining('[LEDGER_CORRUPT]') });
  expect(await readFile(path)).toEqual(bytes);
});
