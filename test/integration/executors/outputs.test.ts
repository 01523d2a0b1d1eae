import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { link, mkdir, mkdtemp, open, realpath, symlink, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { collectOutputs, openOutput } from '../../../agent/executors/collect-outputs.ts';
import { measureDisk } from '../../../agent/executors/disk-usage.ts';
import { openJobDirectory, removeJobDirectory } from '../../../agent/executors/job-directory.ts';
import { openOutputFile } from '../../../agent/executors/output-file.ts';

const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex');

let base: string;
let job: string;
beforeEach(async () => {
  base = await mkdtemp(join(await realpath(tmpdir()), 'co-pilot-outputs-'));
  job = await openJobDirectory(base, 'job-1');
});
afterEach(() => removeJobDirectory(base));

const collect = async (name: string, maxBytes = 1_000): Promise<unknown> => {
  const { files, refused } = await collectOutputs(job, [{ name, maxBytes }]);
  return files[0] ?? refused[0]?.problem;
};

describe('outputs of a job', () => {
  it('are taken with size and digest, in order, from directories too', async () => {
    const large = new Uint8Array(700_000).fill(7);
    await mkdir(join(job, 'deep', 'er'), { recursive: true });
    await writeFile(join(job, 'events.txt'), 'events');
    await writeFile(join(job, 'deep', 'er', 'large'), large);
    await writeFile(join(job, 'empty'), '');
    const declared = ['events.txt', 'deep/er/large', 'empty', 'absent'].map((name) => ({
      name,
      maxBytes: 1e6,
    }));
    expect(await collectOutputs(job, declared)).toEqual({
      files: [
        { name: 'events.txt', size: 6, sha256: sha256('events') },
        { name: 'deep/er/large', size: 700_000, sha256: sha256(large) },
        { name: 'empty', size: 0, sha256: sha256('') },
      ],
      refused: [{ name: 'absent', problem: 'missing' }],
    });
  });

  it('are not taken through a symbolic link, whether it ends the name or stands in it', async () => {
    await mkdir(join(base, 'elsewhere'));
    await writeFile(join(base, 'elsewhere', 'file'), 'secret');
    await symlink('/etc/passwd', join(job, 'passwd'));
    await symlink(join(base, 'elsewhere'), join(job, 'directory'));
    await symlink('nowhere', join(job, 'dangling'));
    expect(await collect('passwd')).toBe('symbolic-link');
    expect(await collect('directory/file')).toBe('symbolic-link');
    expect(await collect('dangling')).toBe('symbolic-link');
  });

  it('are not taken from a work directory that became a link', async () => {
    await writeFile(join(job, 'file'), 'x');
    await symlink(job, join(base, 'alias'));
    const { refused } = await collectOutputs(join(base, 'alias'), [{ name: 'file', maxBytes: 9 }]);
    expect(refused).toEqual([{ name: 'file', problem: 'symbolic-link' }]);
  });

  it('are not taken from a file with another name elsewhere', async () => {
    await writeFile(join(base, 'foreign'), 'secret');
    await link(join(base, 'foreign'), join(job, 'mine'));
    expect(await collect('mine')).toBe('hard-link');
  });

  it('are plain files: no pipe, socket, device or directory, and no wait on any', async () => {
    execFileSync('mkfifo', [join(job, 'pipe')]);
    const server = createServer();
    await new Promise<void>((listening) => server.listen(join(job, 'socket'), listening));
    await mkdir(join(job, 'directory'));
    try {
      for (const name of ['pipe', 'socket', 'directory']) expect(await collect(name)).toBe('no-plain-file');
      const { refused } = await collectOutputs('/dev', [{ name: 'null', maxBytes: 9 }]);
      expect(refused).toEqual([{ name: 'null', problem: 'no-plain-file' }]);
    } finally {
      await new Promise((closed) => server.close(closed));
    }
    await writeFile(join(job, 'file'), 'x');
    expect(await collect('file/below')).toBe('no-plain-file');
  });

  it('are bounded: neither long nor sparse and long', async () => {
    await writeFile(join(job, 'fits'), 'x'.repeat(1_000));
    await writeFile(join(job, 'long'), 'x'.repeat(1_001));
    await writeFile(join(job, 'sparse'), '');
    await truncate(join(job, 'sparse'), 2 ** 42);
    expect(await collect('fits')).toMatchObject({ size: 1_000 });
    expect(await collect('long')).toBe('too-large');
    expect(await collect('sparse')).toBe('too-large');
  });

  it.each([
    '../other',
    'a/../../other',
    '..',
    '.',
    './file',
    '/etc/passwd',
    '',
    'a//b',
    'a/',
    'a\\b',
    'a\nb',
    'a\0b',
  ])('are not looked for under %j', async (name) => {
    await writeFile(join(base, 'other'), 'secret');
    expect(await collect(name)).toBe('name-refused');
  });

  it('that change while they are read are refused', async () => {
    await writeFile(join(job, 'growing'), 'x'.repeat(500));
    const opened = await openOutput(job, { name: 'growing', maxBytes: 1_000 });
    if (opened.kind !== 'opened') throw new Error('not opened');
    expect(opened.size).toBe(500);
    await opened.handle.close();
    await expect(
      collectOutputs(job, [{ name: 'growing', maxBytes: 9 }], AbortSignal.abort(new Error('drained'))),
    ).rejects.toThrow('drained');
  });
});

describe('an output stream', () => {
  it('goes to no link, no pipe and no file with two names', async () => {
    await writeFile(join(base, 'precious'), 'precious');
    await symlink(join(base, 'precious'), join(job, 'link'));
    await link(join(base, 'precious'), join(job, 'hard'));
    execFileSync('mkfifo', [join(job, 'pipe')]);
    for (const name of ['link', 'hard', 'pipe']) {
      expect(() => openOutputFile(join(job, name), undefined)).toThrow(
        expect.objectContaining({ code: 'LAUNCH_REFUSED' }),
      );
    }
    expect(readFileSync(join(base, 'precious'), 'utf8')).toBe('precious');
  });

  it('is emptied first, private, and cut at the end', async () => {
    const path = join(job, 'out');
    await writeFile(path, 'old');
    const file = openOutputFile(path, undefined);
    const writer = await open(path, 'a');
    await writer.write('x'.repeat(2_000_000));
    await writer.close();
    expect(file.sizeMiB()).toBeCloseTo(1.907, 2);
    file.finish(1);
    expect(lstatSync(path).size).toBe(1_048_576);
  });
});

describe('the directory of an attempt', () => {
  it('is private, found again after a restart, and never a link or a path', async () => {
    expect(lstatSync(job).mode & 0o777).toBe(0o700);
    expect(await openJobDirectory(base, 'job-1')).toBe(job);
    await symlink('/etc', join(base, 'link'));
    await expect(openJobDirectory(base, 'link')).rejects.toMatchObject({ code: 'CONFLICT' });
    for (const name of ['..', '.', '', 'a/b', '.hidden', 'x'.repeat(200)]) {
      await expect(openJobDirectory(base, name)).rejects.toMatchObject({ code: 'NAME_REFUSED' });
    }
  });

  it('is removed without following what the job left in it', async () => {
    await mkdir(join(base, 'precious'));
    await writeFile(join(base, 'precious', 'file'), 'precious');
    await symlink(join(base, 'precious'), join(job, 'link'));
    execFileSync(
      'sh',
      [
        '-c',
        'mkdir .removed-0 shut; touch .removed-1 shut/file "$(printf "\\377")"; mkdir "$(printf "d\\377")"; chmod 0 shut',
      ],
      { cwd: job },
    );
    await removeJobDirectory(job);
    expect(readdirSync(base)).toEqual(['precious']);
    expect(readFileSync(join(base, 'precious', 'file'), 'utf8')).toBe('precious');
    await removeJobDirectory(job);
  });

  it('is removed however deep the job went, and measured no deeper than 64 levels', async () => {
    // Far beyond the longest path the kernel takes; node itself can go there step by step.
    const dig =
      'for (let i = 0; i < 600; i++) { fs.mkdirSync("directory"); process.chdir("directory") } fs.writeFileSync("bottom", "")';
    execFileSync(process.execPath, ['-e', dig], { cwd: job });
    expect(await measureDisk(job, 10_000)).toMatchObject({ isComplete: false });
    await removeJobDirectory(job);
    expect(readdirSync(base)).toEqual([]);
  });

  it('a link in its place is removed itself', async () => {
    await mkdir(join(base, 'precious'));
    await symlink(join(base, 'precious'), join(base, 'job-2'));
    await removeJobDirectory(join(base, 'job-2'));
    expect(readdirSync(base)).toEqual(['job-1', 'precious']);
  });
});

describe('the disk of a job', () => {
  it('is measured in blocks, without following links, up to a bound', async () => {
    await writeFile(join(job, 'a'), new Uint8Array(1_048_576));
    await symlink('/', join(job, 'root'));
    const all = await measureDisk(job, 100);
    expect(all).toMatchObject({ entries: 2, isComplete: true });
    expect(all.mebibytes).toBeCloseTo(1, 1);
    for (let index = 0; index < 20; index++) await writeFile(join(job, `f${index}`), '');
    expect((await measureDisk(job, 10)).entries).toBe(11);
  });
});
