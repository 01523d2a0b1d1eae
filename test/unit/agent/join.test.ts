import { afterEach, beforeEach, expect, it } from 'vitest';
import { join } from '../../../agent/join.ts';
import { saveMembership } from '../../../agent/store/agent-files.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import { createNodeRuntime } from '../../../protocol/runtime/node-runtime.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const runtime = createNodeRuntime(silentLog);
const keys = { signing: runtime.crypto.generate('ed25519'), session: runtime.crypto.generate('x25519') };
const { signal } = new AbortController();
const noWay = async (): Promise<never> => {
  throw new CoPilotError('INVALID_CODE', 'the file is not there');
};

let directory: string;
beforeEach(async () => {
  directory = await temporaryDirectory('join');
});
afterEach(() => removeDirectory(directory));

it('asks for another way before it looks for a code, and ends where that cannot be had', async () => {
  const joining = join(directory, keys, runtime, { way: noWay, code: 'no code at all', signal });
  await expect(joining).rejects.toMatchObject({ code: 'INVALID_CODE', message: 'the file is not there' });
});

it('asks for no way where an identity is kept', async () => {
  const kept = {
    url: 'https://broker.example.org',
    installation: 'home',
    certifier: 'A'.repeat(43),
    bus: ['wss://broker.example.org/bus'],
    identity: 'a.b.c',
    expiresInSeconds: 60,
    obtainedMs: 1,
  };
  await saveMembership(directory, kept);
  expect(await join(directory, keys, runtime, { way: noWay, signal })).toEqual(kept);
});
