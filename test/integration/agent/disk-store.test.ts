import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { link } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDiskStore } from '../../../agent/store/disk.ts';
import { createMemoryStore } from '../../../agent/store/memory.ts';
import type { Entry, KeptLease, Store } from '../../../agent/store/store.ts';
import { jobId, lease } from '../../unit/agent/stage.ts';

const ATTEMPT = { job: jobId(0), attempt: 1 };
const KEY = `${jobId(0)}.1`;
const LEASE: KeptLease = keptLease();
const LEASED: Entry = { phase: 'leased', lease: LEASE };
const ENDED: Entry = {
  phase: 'ended',
  lease: LEASE,
  ending: {
    exit: { kind: 'exited', code: 0 },
    manifest: [{ name: 'out', size: 1, sha256: '0'.repeat(64) }],
    usage: { wallSeconds: 1, cpuSeconds: 1, memoryMiB: 1, diskMiB: 1 },
    logTail: 'done',
  },
};

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'agent-store-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

function keptLease(): KeptLease {
  const { job, attempt, queue, leaseSeconds, firstRenewSeconds, description } = lease(0);
  return { job, attempt, queue, leaseSeconds, firstRenewSeconds, description };
}

function open(isPassable = false): Promise<Store> {
  return openDiskStore({ directory, isPassable });
}

const memory = createMemoryStore({ produce: () => undefined });

describe.each<[string, () => Promise<Store>]>([
  ['disk', open],
  ['memory', async () => memory],
])('a store: %s', (_name, reopen) => {
  it('gives back what was saved last, and nothing once it is removed', async () => {
    const store = await reopen();
    await store.save(LEASED);
    expect(await (await reopen()).load()).toEqual({ entries: [LEASED], corrupt: [] });
    await store.save(ENDED);
    expect(await (await reopen()).load()).toEqual({ entries: [ENDED], corrupt: [] });
    await store.remove(ATTEMPT);
    await store.remove(ATTEMPT);
    expect(await (await reopen()).load()).toEqual({ entries: [], corrupt: [] });
  });

  it('keeps no capability', async () => {
    const store = await reopen();
    const full = { ...lease(0), capabilities: lease(0).capabilities };
    await store.save({ phase: 'leased', lease: keptLease() });
    expect(JSON.stringify(await store.load())).not.toContain(full.capabilities[0]?.token);
    await store.remove(ATTEMPT);
  });
});

describe('the journal on disk', () => {
  const entryFile = (): string => join(directory, 'attempts', KEY, 'entry.json');

  it.each<[string, (path: string) => Promise<unknown>]>([
    ['cut short', (path) => truncate(path, 40)],
    ['emptied', (path) => truncate(path, 0)],
    ['overwritten', (path) => writeFile(path, '\0\0\0\0')],
    [
      'of another attempt',
      (path) => writeFile(path, JSON.stringify({ ...LEASED, lease: { ...LEASE, attempt: 2 } })),
    ],
    ['beyond its bound', (path) => truncate(path, 1_000_000)],
    ['with an unknown phase', (path) => writeFile(path, JSON.stringify({ ...LEASED, phase: 'dancing' }))],
    [
      'with an input that climbs',
      (path) =>
        writeFile(
          path,
          JSON.stringify(LEASED).replace(
            '"inputs":[]',
            '"inputs":[{"name":"../x","size":1,"sha256":"' + '0'.repeat(64) + '"}]',
          ),
        ),
    ],
    ['removed', (path) => rm(path)],
    [
      'replaced by a directory',
      async (path) => {
        await rm(path);
        await mkdir(path);
      },
    ],
  ])('an entry that is %s is said to be corrupt, and the others are read', async (_what, damage) => {
    const store = await open();
    const other: Entry = { phase: 'leased', lease: { ...LEASE, job: jobId(1) } };
    await store.save(LEASED);
    await store.save(other);
    await damage(entryFile());
    expect(await store.load()).toEqual({ entries: [other], corrupt: [ATTEMPT] });
    await store.remove(ATTEMPT);
    expect(await store.load()).toEqual({ entries: [other], corrupt: [] });
  });

  it('a save that was cut short leaves the entry before', async () => {
    const store = await open();
    await store.save(LEASED);
    await writeFile(`${entryFile()}.new`, '{"phase":"en');
    expect(await store.load()).toEqual({ entries: [LEASED], corrupt: [] });
    await store.save(ENDED);
    expect((await store.load()).entries).toEqual([ENDED]);
  });

  it('names that are no attempt are left alone', async () => {
    const store = await open();
    await mkdir(join(directory, 'attempts', 'lost+found'));
    await writeFile(join(directory, 'attempts', 'notes.txt'), '');
    expect(await store.load()).toEqual({ entries: [], corrupt: [] });
  });

  it.each([
    [false, 0o700],
    [true, 0o711],
  ])(
    'is readable to its owner only; folders can be passed through only where told (%s)',
    async (isPassable, mode) => {
      const store = await open(isPassable);
      await store.save(LEASED);
      await store.prepare(ATTEMPT);
      const modes = await Promise.all(
        [directory, join(directory, 'attempts'), join(directory, 'attempts', KEY)].map(modeOf),
      );
      expect(modes).toEqual([mode, mode, mode]);
      expect(await modeOf(entryFile())).toBe(0o600);
      expect(await modeOf(join(directory, 'attempts', KEY, 'work'))).toBe(0o700);
    },
  );
});

describe('a workplace', () => {
  it('is empty when it is prepared, whatever an earlier try left', async () => {
    const store = await open();
    await store.save(LEASED);
    const first = await store.prepare(ATTEMPT);
    await writeFile(join(first.directory, 'left'), 'over');
    await writeFile(first.stdoutFile, 'said');
    const second = await store.prepare(ATTEMPT);
    expect(await readdir(second.directory)).toEqual([]);
    expect(await second.logTail(100)).toBe('');
    expect((await store.load()).entries).toEqual([LEASED]);
  });

  it('places files below itself and nowhere else', async () => {
    const place = await (await open()).prepare(ATTEMPT);
    expect(await place.place('a/b/c')).toBe(join(place.directory, 'a/b/c'));
    for (const name of ['../x', '/etc/passwd', 'a/../../x', 'a//b', '.', '', 'a\0b'])
      await expect(place.place(name)).rejects.toMatchObject({ code: 'MALFORMED_MESSAGE' });
    await writeFile(await place.place('file'), '');
    await expect(place.place('file/below')).rejects.toMatchObject({ code: 'NAME_COLLISION' });
  });

  it('collects what was declared, with size and digest', async () => {
    const place = await (await open()).prepare(ATTEMPT);
    await writeFile(await place.place('deep/out'), 'abc');
    await writeFile(await place.place('undeclared'), 'xyz');
    const collected = await place.collect([{ name: 'deep/out' }, { name: 'maybe', optional: true }], 100);
    expect(collected).toEqual({
      kind: 'collected',
      files: [
        {
          name: 'deep/out',
          size: 3,
          sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
        },
      ],
    });
  });

  it.each<[string, (path: string) => Promise<unknown>, string]>([
    ['missing', async () => undefined, 'is missing'],
    ['a link to a secret', (path) => symlink('/etc/passwd', path), 'is a symbolic link'],
    [
      'another name of a secret',
      async (path) => {
        await writeFile(join(directory, 'secret'), 'k');
        await link(join(directory, 'secret'), path);
      },
      'has more than one name',
    ],
    ['a pipe', async (path) => execFileSync('mkfifo', [path]), 'is no plain file'],
    ['a directory', (path) => mkdir(path), 'is no plain file'],
    [
      'huge and hollow',
      async (path) => {
        await writeFile(path, '');
        await truncate(path, 2 ** 40);
      },
      'is over its bound',
    ],
  ])('an output that is %s is not taken', async (_what, make, reason) => {
    const place = await (await open()).prepare(ATTEMPT);
    await make(join(place.directory, 'out'));
    expect(await place.collect([{ name: 'out' }], 1000)).toEqual({
      kind: 'unusable',
      reason: `the declared output out ${reason}`,
    });
  });

  it('outputs together stay under the job’s disk limit', async () => {
    const place = await (await open()).prepare(ATTEMPT);
    await writeFile(join(place.directory, 'a'), 'x'.repeat(60));
    await writeFile(join(place.directory, 'b'), 'x'.repeat(60));
    expect(await place.collect([{ name: 'a' }, { name: 'b' }], 100)).toMatchObject({ kind: 'unusable' });
    expect(await place.collect([{ name: 'a', maxBytes: 10 }], 100)).toMatchObject({ kind: 'unusable' });
  });

  it.each<[string, string | undefined, number | undefined]>([
    ['nothing', undefined, undefined],
    ['a number', '0.25\n', 0.25],
    ['one', '1', 1],
    ['more than one', '1.5', undefined],
    ['less than nothing', '-1', undefined],
    ['no number', 'soon', undefined],
    ['emptiness', '', undefined],
    ['a novel', '0.5'.repeat(1000), undefined],
  ])('progress: %s', async (_what, text, expected) => {
    const place = await (await open()).prepare(ATTEMPT);
    if (text !== undefined) await writeFile(place.progressFile, text);
    expect(await place.progress()).toBe(expected);
  });

  it('progress that is a pipe or a link does not hold the agent up or show it anything', async () => {
    const place = await (await open()).prepare(ATTEMPT);
    execFileSync('mkfifo', [place.progressFile]);
    expect(await place.progress()).toBeUndefined();
    await rm(place.progressFile);
    await writeFile(join(directory, 'secret'), '0.5');
    await symlink(join(directory, 'secret'), place.progressFile);
    expect(await place.progress()).toBeUndefined();
  });

  it('the log tail is the end of both outputs, errors last, without what commands a terminal', async () => {
    const place = await (await open()).prepare(ATTEMPT);
    await writeFile(place.stdoutFile, `${'x'.repeat(10_000)}end of output\n`);
    await writeFile(place.stderrFile, 'a\u001b[2Jb\r\n\ttab\u0000\n');
    const tail = await place.logTail(40);
    expect(tail.length).toBeLessThanOrEqual(40);
    expect(tail).toContain('end of output\na[2Jb\n\ttab');
    await writeFile(place.stderrFile, Buffer.from('\u{1F600}'.repeat(50)).subarray(1));
    expect((await place.logTail(33)).isWellFormed()).toBe(true);
  });

  it('is removed with everything in it, links unfollowed', async () => {
    const store = await open();
    await store.save(LEASED);
    const place = await store.prepare(ATTEMPT);
    const secret = join(directory, 'secret');
    await writeFile(secret, 'kept');
    await symlink(directory, join(place.directory, 'up'));
    await mkdir(join(place.directory, 'locked'), { mode: 0o000 });
    await store.remove(ATTEMPT);
    expect(await readFile(secret, 'utf8')).toBe('kept');
    expect(await readdir(join(directory, 'attempts'))).toEqual([]);
  });
});

async function modeOf(path: string): Promise<number> {
  return (await stat(path)).mode & 0o777;
}
