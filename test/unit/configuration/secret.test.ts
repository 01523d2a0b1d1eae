import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readSecret } from '../../../cli/configuration/secret.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const SECRET = 'correct-horse-battery-staple';
let directory: string;
let file: string;
beforeEach(async () => {
  directory = await temporaryDirectory('secret');
  file = join(directory, 'token');
});
afterEach(() => removeDirectory(directory));

async function written(text: string, mode = 0o600): Promise<string> {
  await writeFile(file, text);
  await chmod(file, mode);
  return readSecret('operatorToken', { file }, {});
}

it('is what the file holds, without the end of the line', async () => {
  expect(await written(`${SECRET}\n`)).toBe(SECRET);
  expect(await written(SECRET, 0o400)).toBe(SECRET);
});

it('is what the variable holds', async () => {
  expect(await readSecret('operatorToken', { env: 'TOKEN' }, { TOKEN: SECRET })).toBe(SECRET);
});

it.each([
  ['that others may read', SECRET, 0o640, 'chmod 600'],
  ['that everybody may read', SECRET, 0o604, 'chmod 600'],
  ['that is empty', '\n', 0o600, 'holds nothing'],
  ['of two lines', `${SECRET}\n${SECRET}\n`, 0o600, 'one line'],
  ['that is short', 'password', 0o600, '16 to 512 characters'],
  ['that is long', 'x'.repeat(600), 0o600, '16 to 512 characters'],
  ['that is huge', 'x'.repeat(100_000), 0o600, 'holds nothing'],
])('a file %s is refused, and not shown', async (_what, text, mode, told) => {
  const refused = await written(text, mode).catch((caught: unknown) => caught);
  expect(refused).toMatchObject({ code: 'INVALID_CONFIGURATION', message: expect.stringContaining(told) });
  if (text.trim().length >= 8) expect(String(refused)).not.toContain(text.trim().slice(0, 20));
});

it('a file or a variable that is not there is named', async () => {
  await expect(readSecret('localBus', { file: join(directory, 'none') }, {})).rejects.toThrow(
    /none cannot be read/,
  );
  await expect(readSecret('localBus', { env: 'NONE' }, {})).rejects.toThrow(
    /the variable NONE holds nothing/,
  );
});
