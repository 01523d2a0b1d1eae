import { link, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { gatherOutputs } from '../../../agent/pilot/gather-outputs.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

let work: string;
let store: string;

beforeEach(async () => {
  work = await temporaryDirectory('gather');
  store = join(work, 'pilot-outputs');
  await mkdir(store);
});
afterEach(() => removeDirectory(work));

async function put(path: string, text = path): Promise<void> {
  await mkdir(join(store, path, '..'), { recursive: true });
  await writeFile(join(store, path), text);
}

describe('what a pilot staged out by mv', () => {
  it('is moved up to where outputs are collected, by its name', async () => {
    await put('user/cp/de/bd/user.cp.0001.out.txt', 'the result');
    await put('user/cp/a9/18/user.cp.0001.log.tgz');
    await gatherOutputs(work, store, ['user.cp.0001.out.txt', 'user.cp.0001.log.tgz', 'not.there']);
    expect(await readFile(join(work, 'user.cp.0001.out.txt'), 'utf8')).toBe('the result');
    expect((await readdir(work)).sort()).toEqual(
      ['pilot-outputs', 'user.cp.0001.log.tgz', 'user.cp.0001.out.txt'].sort(),
    );
  });

  it('takes nothing that lies there already, and of two the upper one', async () => {
    await writeFile(join(work, 'kept'), 'mine');
    await put('kept', 'other');
    await put('b/twice', 'lower');
    await put('twice', 'upper');
    await gatherOutputs(work, store, ['kept', 'twice']);
    expect(await readFile(join(work, 'kept'), 'utf8')).toBe('mine');
    expect(await readFile(join(work, 'twice'), 'utf8')).toBe('upper');
  });

  it('follows no link, out of the store or around in it', async () => {
    const secret = join(work, '..', `${work.split('/').at(-1)}-secret`);
    await mkdir(secret);
    await writeFile(join(secret, 'key'), 'secret');
    await symlink(secret, join(store, 'way-out'));
    await symlink(join(secret, 'key'), join(store, 'out'));
    await symlink(store, join(store, 'round'));
    await gatherOutputs(work, store, ['key', 'out', '../x', 'a/b', '']);
    expect(await readdir(work)).toEqual(['pilot-outputs']);
    await removeDirectory(secret);
  });

  it('a store that is a link is not looked into', async () => {
    const elsewhere = await temporaryDirectory('elsewhere');
    await writeFile(join(elsewhere, 'out'), 'not ours');
    await symlink(elsewhere, join(work, 'linked'));
    await gatherOutputs(work, join(work, 'linked'), ['out']);
    expect(await readdir(elsewhere)).toEqual(['out']);
    await removeDirectory(elsewhere);
  });

  it('a file with a second name stays one that is refused at collection', async () => {
    await put('out');
    await link(join(store, 'out'), join(store, 'second'));
    await gatherOutputs(work, store, ['out']);
    expect((await readdir(store)).sort()).toEqual(['second']);
  });
});
