import { mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { holdFolder, LOCK_FILE } from '../../../adapters/jobs/kit/held-folder.ts';
import { openTaskStore } from '../../../adapters/jobs/crab/task-store.ts';
import { copyDatabaseInUse } from '../../../cli/backup/database-in-use.ts';
import { copyFrameworkFolders, heldInFrameworks } from '../../../cli/backup/framework-folders.ts';
import { isLocked } from '../../../cli/backup/locked-file.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

let directory: string;
let from: string;
let to: string;
beforeEach(async () => {
  directory = await temporaryDirectory('framework-folders');
  [from, to] = [join(directory, 'from'), join(directory, 'to')];
  await mkdir(join(from, 'frameworks/crab/matched'), { recursive: true, mode: 0o700 });
});
afterEach(() => removeDirectory(directory));

const at = (...path: readonly string[]): string => join(from, 'frameworks/crab', ...path);
const copied = (...path: readonly string[]): string => join(to, 'frameworks/crab', ...path);
const copy = (): Promise<readonly string[]> => copyFrameworkFolders(from, to, () => undefined);

describe('a database that another program holds for itself', () => {
  let writer: DatabaseSync;
  let written: number;
  beforeEach(() => {
    writer = new DatabaseSync(at('tasks.sqlite'));
    writer.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 8');
    writer.exec('PRAGMA synchronous = OFF');
    writer.exec('CREATE TABLE one (n INTEGER, filling TEXT); CREATE TABLE other (n INTEGER, filling TEXT)');
    written = 0;
  });
  afterEach(() => writer.close());

  /** Both tables have the same numbers after each transaction, and are some pages long. */
  const write = (times: number): void => {
    for (let more = 0; more < times; more++) {
      written++;
      writer.exec(`BEGIN; INSERT INTO one VALUES (${written}, hex(randomblob(700)));
        INSERT INTO other VALUES (${written}, hex(randomblob(700))); COMMIT`);
    }
  };
  const numbersIn = (path: string): readonly unknown[] => {
    const database = new DatabaseSync(path, { readOnly: true });
    const sums = ['one', 'other'].map(
      (table) => database.prepare(`SELECT count(*) AS n, max(n) AS most FROM ${table}`).get() ?? {},
    );
    database.close();
    return sums.map((row) => [row['n'], row['most']]);
  };
  const target = (): string => join(directory, 'copy.sqlite');

  it('is copied as of one moment, in one file, while the other goes on and moves its log into the database', async () => {
    write(40);
    let turns = 0;
    await copyDatabaseInUse(at('tasks.sqlite'), target(), async () => {
      turns++;
      if (turns < 4) write(30);
    });
    expect(turns).toBe(4);
    expect(numbersIn(target())).toEqual([
      [130, 130],
      [130, 130],
    ]);
    expect((await stat(target())).mode & 0o777).toBe(0o600);
    expect((await readdir(directory)).toSorted()).toEqual(['copy.sqlite', 'from']);
    write(1);
  });

  it('that is written to meanwhile without its log being begun anew is copied at once', async () => {
    writer.exec('PRAGMA wal_autocheckpoint = 0');
    write(5);
    let turns = 0;
    await copyDatabaseInUse(at('tasks.sqlite'), target(), async () => {
      turns++;
      write(5);
    });
    expect(turns).toBe(1);
    expect(numbersIn(target())).toEqual([
      [10, 10],
      [10, 10],
    ]);
  });

  it('that changes faster than it is copied is refused, and so is one that is none', async () => {
    const restless = copyDatabaseInUse(at('tasks.sqlite'), target(), async () => write(30));
    await expect(restless).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(await readdir(directory)).toEqual(['from']);
    await writeFile(at('none.sqlite'), 'no database at all '.repeat(300));
    await expect(copyDatabaseInUse(at('none.sqlite'), target())).rejects.toMatchObject({
      code: 'QUEUE_CORRUPT',
    });
  });

  it('is told from one that nobody holds', async () => {
    write(1);
    expect(isLocked(at('tasks.sqlite'))).toBe(true);
    expect(await heldInFrameworks(from)).toEqual([at('tasks.sqlite')]);
    writer.close();
    expect(await heldInFrameworks(from)).toEqual([]);
    expect(isLocked(at('nowhere.sqlite'))).toBe(false);
    writer = new DatabaseSync(':memory:');
  });
});

describe('the folder of an adapter', () => {
  it('is copied whole, without logs, halves of files and what lies elsewhere', async () => {
    await writeFile(at('config.json'), '{"key":1}', { mode: 0o600 });
    await writeFile(at('matched/one.accepted'), 'job one');
    for (const name of ['log', 'log.1', 'taken.json.new', 'matched/two.part', '.7.part'])
      await writeFile(at(name), 'not this');
    await writeFile(join(directory, 'secret'), 'of somebody else');
    await symlink(join(directory, 'secret'), at('link'));
    await symlink(directory, at('matched/folder'));
    const release = holdFolder(at(LOCK_FILE));
    const store = await openTaskStore({ path: at('crab.sqlite'), url: 'https://crab.example.org' });
    const paths = await copy();
    await store.close();
    release();
    expect(paths).toEqual(
      ['config.json', 'crab.sqlite', 'matched/one.accepted'].map((name) => `frameworks/crab/${name}`),
    );
    expect(await readFile(copied('matched/one.accepted'), 'utf8')).toBe('job one');
    expect((await stat(copied('config.json'))).mode & 0o777).toBe(0o600);
    const again = await openTaskStore({ path: copied('crab.sqlite'), url: 'https://crab.example.org' });
    expect(again.tasks()).toEqual([]);
    await again.close();
  });

  it('may change while it is copied: what goes is left out, what is renamed is there under one of its names', async () => {
    const names = Array.from({ length: 30 }, (_, number) => `job-${String(number).padStart(2, '0')}`);
    for (const name of names) await writeFile(at('matched', `${name}.matched`), name);
    const changes = async (): Promise<void> => {
      for (const name of names.slice(0, 15))
        await rename(at('matched', `${name}.matched`), at('matched', `${name}.accepted`));
      for (const name of names.slice(15, 20)) await rm(at('matched', `${name}.matched`));
    };
    await Promise.all([copy(), changes()]);
    const found = new Set((await readdir(copied('matched'))).map((name) => name.replace(/\.\w+$/, '')));
    const stayed = [...names.slice(0, 15), ...names.slice(20)];
    expect(stayed.filter((name) => !found.has(name))).toEqual([]);
  });

  it('with a damaged database ends the backup: half of it would be none', async () => {
    await writeFile(at('crab.sqlite'), 'no database '.repeat(500));
    await expect(copy()).rejects.toMatchObject({ code: 'QUEUE_CORRUPT' });
  });

  it('is held by one program at a time', () => {
    const release = holdFolder(at(LOCK_FILE));
    expect(() => holdFolder(at(LOCK_FILE))).toThrow(/another program runs this adapter/);
    release();
    release();
    holdFolder(at(LOCK_FILE))();
  });
});
