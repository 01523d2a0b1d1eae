import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type JobJournal, openJobJournal } from '../../../adapters/jobs/kit/job-journal.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

interface Job {
  readonly name: string;
}

const read = (value: unknown): Job | undefined =>
  typeof value === 'object' && value !== null && 'name' in value && typeof value.name === 'string'
    ? { name: value.name }
    : undefined;

const of = (...names: readonly string[]): ReadonlyMap<string, Job> =>
  new Map(names.map((name) => [name, { name }]));

describe('the journal of jobs between a framework and the broker', () => {
  let directory: string;
  let path: string;
  const opened: JobJournal<Job>[] = [];
  const open = async (): Promise<JobJournal<Job>> => {
    const journal = await openJobJournal({ path, read });
    opened.push(journal);
    return journal;
  };
  const linesOf = async (): Promise<number> => (await readFile(path, 'utf8')).split('\n').length - 1;

  beforeEach(async () => {
    directory = await temporaryDirectory('journal');
    path = join(directory, 'jobs.jsonl');
  });
  afterEach(async () => {
    for (const journal of opened.splice(0)) await journal.close();
    await removeDirectory(directory);
  });

  it('has what was taken and not removed, also when much changes at once', async () => {
    const journal = await open();
    await Promise.all([
      journal.take(of('a', 'b')),
      journal.take(of('c')),
      journal.remove('b'),
      journal.remove('x'),
      journal.waits('c', 'state of c'),
    ]);
    expect(journal.find('a')).toEqual({ name: 'a' });
    expect(journal.find('c')).toBeUndefined();
    const again = await open();
    expect([...again.atStart]).toEqual([
      ['a', { taken: { name: 'a' } }],
      ['c', { waits: 'state of c' }],
    ]);
    await again.remove('c');
    expect([...(await open()).atStart.keys()]).toEqual(['a']);
  });

  it('passes over a line that a crash cut short, and goes on behind what was whole', async () => {
    const journal = await open();
    await journal.take(of('a'));
    await appendFile(path, '{"id":"b","taken":{"na');
    const again = await open();
    expect([...again.atStart.keys()]).toEqual(['a']);
    await again.take(of('c'));
    expect([...(await open()).atStart.keys()]).toEqual(['a', 'c']);
  });

  it('is written anew when most of it says nothing any more', async () => {
    const journal = await open();
    await journal.take(of('stays'));
    for (let round = 0; round < 30; round++) {
      const names = Array.from({ length: 100 }, (_, at) => `${round}-${at}`);
      await journal.take(of(...names));
      await Promise.all(names.map((name) => journal.remove(name)));
    }
    expect(await linesOf()).toBeLessThan(6000);
    await journal.take(of('last'));
    expect([...(await open()).atStart.keys()]).toEqual(['stays', 'last']);
  });

  it('has everything again after a write that failed', async () => {
    const lost = join(directory, 'gone');
    const journal = await openJobJournal({ path: join(lost, 'jobs.jsonl'), read });
    opened.push(journal);
    await expect(journal.take(of('a'))).rejects.toThrow('ENOENT');
    await mkdir(lost);
    await journal.take(of('b'));
    const again = await openJobJournal({ path: join(lost, 'jobs.jsonl'), read });
    expect([...again.atStart.keys()]).toEqual(['a', 'b']);
  });

  it.each([
    '{\n',
    '[]\n',
    '{}\n',
    '{"id":1}\n',
    '{"id":"a","taken":{"name":1}}\n',
    '{"id":"a","taken":null}\n',
  ])('is not guessed at where a whole line is %j', async (text) => {
    await writeFile(path, text);
    await expect(openJobJournal({ path, read })).rejects.toMatchObject({ code: 'QUEUE_CORRUPT' });
  });

  it('keeps nothing where it has no file', async () => {
    const journal = await openJobJournal({ read });
    await journal.take(of('a'));
    await journal.waits('a', 'state');
    expect(journal.find('a')).toBeUndefined();
    await journal.close();
  });
});
