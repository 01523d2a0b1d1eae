import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cvmfsWay, parrotWords } from '../../../agent/environment/cvmfs.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

let root: string;
let parrot: string;

beforeEach(async () => {
  root = await temporaryDirectory('cvmfs');
  parrot = join(root, 'parrot_run');
});
afterEach(() => removeDirectory(root));

async function mount(repository: string): Promise<void> {
  await mkdir(join(root, repository));
  await writeFile(join(root, repository, '.cvmfsdirtab'), '');
}

const repositories = ['cms.cern.ch', 'grid.cern.ch'];

describe('how jobs come to CVMFS', () => {
  it('by the mounts, where all are there', async () => {
    for (const name of repositories) await mount(name);
    const paths = repositories.map((name) => join(root, name));
    expect(await cvmfsWay({ repositories, parrot }, root)).toEqual({ kind: 'mounted', paths });
  });

  it('by parrot, where one of them is not, or is an empty mount point', async () => {
    await mount('cms.cern.ch');
    await mkdir(join(root, 'grid.cern.ch'));
    await writeFile(parrot, '#!/bin/sh\n', { mode: 0o755 });
    expect(await cvmfsWay({ repositories, parrot }, root)).toEqual({ kind: 'parrot', program: parrot });
  });

  it('not at all, where there is neither', async () => {
    await mount('cms.cern.ch');
    const reason = 'grid.cern.ch is not mounted';
    expect(await cvmfsWay({ repositories }, root)).toEqual({ kind: 'missing', reason });
    expect(await cvmfsWay({ repositories, parrot }, root)).toMatchObject({
      kind: 'missing',
      reason: expect.stringContaining(parrot),
    });
    await writeFile(parrot, '');
    await chmod(parrot, 0o644);
    expect(await cvmfsWay({ repositories, parrot }, root)).toMatchObject({ kind: 'missing' });
  });

  it('parrot is told of the proxy and of what it must know of the repositories', () => {
    const settings = { repositories, parrotRepositories: 'cms.cern.ch:url=http://s/cvmfs/*.cern.ch' };
    expect(parrotWords('/p', settings, 'http://squid:3128')).toEqual([
      '/p',
      '--cvmfs-repo-switching',
      '--tempdir=.parrot',
      '--proxy=http://squid:3128',
      '--cvmfs-repos=cms.cern.ch:url=http://s/cvmfs/*.cern.ch',
    ]);
    expect(parrotWords('/p', { repositories }, undefined)).toEqual([
      '/p',
      '--cvmfs-repo-switching',
      '--tempdir=.parrot',
    ]);
  });
});
