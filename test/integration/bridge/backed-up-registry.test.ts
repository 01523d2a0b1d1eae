import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import {
  forgetAttempts,
  keptFiles,
  reconcileRegistry,
} from '../../../adapters/storage/bridge/backed-up-registry.ts';
import { nameOnDisk } from '../../../adapters/storage/bridge/places.ts';
import { openRegistry } from '../../../adapters/storage/bridge/registry.ts';
import type { Tables } from '../../../adapters/storage/bridge/tables.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const SHA = 'ab'.repeat(32);
const job = (letter: string): string => letter.repeat(26);
const ref = (letter: string, attempt = 1) => ({ job: job(letter), attempt });

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await temporaryDirectory('registry');
  path = join(folder, 'registry.sqlite');
  await changed((tables) => {
    for (const letter of ['a', 'b', 'c']) {
      tables.putFile(ref(letter), { name: 'n.txt', size: 2, sha256: SHA, isComplete: true, digests: {} }, 0);
      tables.setState(ref(letter), 'registered', 0);
    }
    tables.putFile(ref('d'), { name: 'n.txt', size: 3, sha256: SHA, isComplete: true, digests: {} }, 0);
    tables.putFile(ref('d'), { name: 'half.txt', size: 9, sha256: SHA, isComplete: false, digests: {} }, 0);
    tables.putInput(SHA, { size: 5, digests: {} });
  });
});
afterEach(() => removeDirectory(folder));

async function changed<T>(change: (tables: Tables) => T): Promise<T> {
  const registry = openRegistry({ path });
  const result = await registry.write(change);
  registry.close();
  return result;
}

it('names every whole file once, with where it lies and whether it is a result', () => {
  const kept = [...keptFiles(path)];
  expect(kept.map(({ path: place, size, isResult }) => [place, size, isResult])).toEqual([
    [join('inputs', SHA), 5, false],
    ...['a', 'b', 'c'].map((letter) => [join('attempts', job(letter), '1', nameOnDisk('n.txt')), 2, true]),
    [join('attempts', job('d'), '1', nameOnDisk('n.txt')), 3, false],
  ]);
});

it('forgets an attempt whose files went, so that it can never be registered', async () => {
  forgetAttempts(path, [ref('d')]);
  expect(await changed((tables) => [tables.state(ref('d')), tables.files(ref('d'))])).toEqual([
    'discarded',
    [],
  ]);
});

it('takes back results that the ledger does not know, and gives their job the way free', async () => {
  const standing = { a: 'result', b: 'waits', c: 'neither' } as const;
  const letterOf = (name: string): keyof typeof standing => name[0] as keyof typeof standing;
  expect(reconcileRegistry(path, (attempt) => standing[letterOf(attempt.job)])).toBe(2);
  const states = await changed((tables) => ['a', 'b', 'c'].map((letter) => tables.state(ref(letter))));
  expect(states).toEqual(['registered', 'closed', 'discarded']);
  const files = await changed((tables) => ['a', 'b', 'c'].map((letter) => tables.files(ref(letter)).length));
  expect(files).toEqual([1, 1, 0]);
  // One result per job: a new attempt can be it now.
  await changed((tables) => tables.setState(ref('c', 101), 'registered', 0));
});
