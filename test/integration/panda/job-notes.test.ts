import { readdir, stat, truncate, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createEventCount } from '../../../adapters/jobs/panda/event-count.ts';
import { openJobNotes } from '../../../adapters/jobs/panda/job-notes.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const JOB = 'a'.repeat(26);
const OTHER = 'b'.repeat(26);
const MAX_EVENTS = 1_000_000_000;
const range = (at: number, events: number) => ({ id: `77-1-7001-${at}-1`, body: '', events });

let folder: string;
beforeEach(async () => {
  folder = join(await temporaryDirectory('job-notes'), 'notes');
});
afterEach(() => removeDirectory(join(folder, '..')));

describe('notes about jobs', () => {
  it('are there for the next process, each job’s its own; the same one is written once', async () => {
    const notes = await openJobNotes(folder);
    await notes.add(JOB, 'one');
    await notes.add(JOB, 'two');
    await notes.add(JOB, 'one');
    await notes.add(OTHER, 'three');
    const later = await openJobNotes(folder);
    expect(await later.of(JOB)).toEqual(['one', 'two']);
    expect(await later.of(OTHER)).toEqual(['three']);
    expect(await later.of('c'.repeat(26))).toEqual([]);
    expect((await stat(join(folder, JOB))).mode & 0o777).toBe(0o600);
  });

  it('of which a crash tore the last are good before and after it', async () => {
    const notes = await openJobNotes(folder);
    await notes.add(JOB, 'pilot 1 1000');
    await notes.add(JOB, 'pilot 1 2000');
    await truncate(join(folder, JOB), (await stat(join(folder, JOB))).size - 2);
    const later = await openJobNotes(folder);
    await later.add(JOB, 'pilot 2 7');
    expect(await later.of(JOB)).toEqual(['pilot 1 1000', 'pilot 2 7']);
  });

  it('have a bound that nobody who runs a job gets over', async () => {
    const notes = await openJobNotes(folder);
    const long = 'x'.repeat(1_000_000);
    for (let at = 0; at < 6; at++) await notes.add(JOB, `${at}${long}`);
    expect((await stat(join(folder, JOB))).size).toBeLessThanOrEqual(4 * 1024 * 1024 + 2);
    expect(await notes.of(JOB)).toHaveLength(4);
  });

  it('of jobs that nobody speaks of any more go', async () => {
    const notes = await openJobNotes(folder);
    await notes.add(JOB, 'old');
    await notes.add(OTHER, 'new');
    await utimes(join(folder, JOB), 1_000, 1_000);
    await utimes(join(folder, OTHER), 3_000, 3_000);
    await notes.forgetBefore(2_000_000);
    expect(await readdir(folder)).toEqual([OTHER]);
  });
});

describe('the events of a job', () => {
  it('are those of ranges that were finished, else what the pilot of the attempt said last, else not known', async () => {
    const count = createEventCount(await openJobNotes(folder));
    expect(await count.of(JOB, 1)).toBeUndefined();
    await count.said(JOB, 1, 5);
    await count.said(JOB, 2, 6);
    await count.said(JOB, 2, 7);
    expect([await count.of(JOB, 1), await count.of(JOB, 2), await count.of(JOB, 3)]).toEqual([
      5,
      7,
      undefined,
    ]);
    await count.took(JOB, range(1, 10));
    expect(await count.of(JOB, 1)).toBe(5);
    await count.finished(JOB, [range(1, 10).id, range(11, 1).id]);
    expect([await count.of(JOB, 1), await count.of(JOB, 2)]).toEqual([11, 11]);
    expect(await count.of(OTHER, 1)).toBeUndefined();
  });

  it('are never more than a message may name', async () => {
    const count = createEventCount(await openJobNotes(folder));
    await count.took(JOB, range(1, MAX_EVENTS));
    await count.took(JOB, range(2, MAX_EVENTS));
    await count.finished(JOB, [range(1, 0).id, range(2, 0).id]);
    expect(await count.of(JOB, 1)).toBe(MAX_EVENTS);
  });
});
