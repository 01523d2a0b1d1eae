import { spawnSync } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Membership } from '../../../agent/enrol.ts';
import { loadMembership, openKeys, saveMembership, secretFiles } from '../../../agent/store/agent-files.ts';
import { lockDirectory } from '../../../agent/store/directory-lock.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';

const crypto = createCrypto();
const MEMBERSHIP: Membership = {
  url: 'http://127.0.0.1:1',
  installation: 'home',
  certifier: 'A'.repeat(43),
  bus: ['ws://127.0.0.1:2/bus'],
  identity: 'a.b.c',
  expiresInSeconds: 60,
  obtainedMs: 5,
};
const LOCK_MODULE = new URL('../../../agent/store/directory-lock.ts', import.meta.url).href;

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'agent-files-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function modes(): Promise<readonly number[]> {
  return Promise.all(secretFiles(directory).map(async (path) => (await stat(path)).mode & 0o777));
}

describe('keys and identity', () => {
  it('are made once, and for their owner’s eyes only', async () => {
    const first = await openKeys(directory, crypto);
    const [keys = ''] = secretFiles(directory);
    expect((await stat(keys)).mode & 0o777).toBe(0o600);
    await saveMembership(directory, MEMBERSHIP);
    const second = await openKeys(directory, crypto);
    expect(second.signing.publicKey.raw).toEqual(first.signing.publicKey.raw);
    expect(second.session.publicKey.raw).toEqual(first.session.publicKey.raw);
    expect(await modes()).toEqual([0o600, 0o600]);
  });

  it('get their mode back where a copy lost it', async () => {
    await openKeys(directory, crypto);
    await saveMembership(directory, MEMBERSHIP);
    for (const path of secretFiles(directory)) await chmod(path, 0o644);
    await openKeys(directory, crypto);
    expect(await loadMembership(directory)).toEqual(MEMBERSHIP);
    expect(await modes()).toEqual([0o600, 0o600]);
  });

  it.each(['', '{', '[]', '{"signing":{"kind":"ed25519","private":"00"}}'])(
    'that hold %j are never replaced unasked',
    async (text) => {
      const [path = ''] = secretFiles(directory);
      await writeFile(path, text);
      await expect(openKeys(directory, crypto)).rejects.toMatchObject({ code: 'AGENT_CORRUPT' });
      expect(await readFile(path, 'utf8')).toBe(text);
    },
  );

  it.each(['', '{', '{}', 'null', '"text"'])(
    'an identity file with %j means to enrol again',
    async (text) => {
      await writeFile(secretFiles(directory)[1] ?? '', text);
      expect(await loadMembership(directory)).toBeUndefined();
    },
  );

  it('none at all means to enrol', async () => {
    expect(await loadMembership(directory)).toBeUndefined();
  });
});

describe('the lock', () => {
  const tryInAnotherProcess = (): string =>
    spawnSync(
      process.execPath,
      [
        '--no-warnings',
        '--input-type=module',
        '-e',
        `const { lockDirectory } = await import(${JSON.stringify(LOCK_MODULE)});
         try { lockDirectory(process.argv[1]); console.log('locked'); } catch (error) { console.log(error.code); }`,
        directory,
      ],
      { encoding: 'utf8', timeout: 20_000 },
    ).stdout.trim();

  it('keeps a second agent out of the directory until the first is gone', () => {
    const lock = lockDirectory(directory);
    expect(tryInAnotherProcess()).toBe('AGENT_IN_USE');
    lock.release();
    expect(tryInAnotherProcess()).toBe('locked');
    lockDirectory(directory).release();
  });
});
