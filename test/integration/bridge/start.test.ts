import { chmod, mkdtemp, open, rm, stat, writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createBridge } from '../../../adapters/storage/bridge/bridge.ts';
import type { Bridge } from '../../../adapters/storage/bridge/bridge.ts';
import { nodeClock, nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import { CEILING, crypto, mintPut, openBridgeWorld, OPERATOR_TOKEN } from '../../doubles/bridge-world.ts';
import { silentLog } from '../../doubles/silent-log.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bridge-start-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function bridgeOn(directory: string, port = 0): Bridge {
  return createBridge({
    directory,
    host: '127.0.0.1',
    port,
    operatorToken: OPERATOR_TOKEN,
    ceiling: CEILING,
    clock: nodeClock,
    random: nodeRandom,
    crypto,
    log: silentLog,
  });
}

describe('starting a bridge', () => {
  it('on a port that is taken says so (PORT_TAKEN), and can be tried again', async () => {
    const world = await openBridgeWorld();
    const second = bridgeOn(join(folder, 'x'), world.listeningPort());
    await expect(second.start()).rejects.toMatchObject({ code: 'PORT_TAKEN' });
    await world.close();
    await second.start();
    await second.stop();
  });

  it('on a directory another bridge has is refused (STORAGE_IN_USE), and works once that has stopped', async () => {
    const first = bridgeOn(folder);
    const second = bridgeOn(folder);
    await first.start();
    await expect(second.start()).rejects.toMatchObject({ code: 'STORAGE_IN_USE' });
    await first.stop();
    await second.start();
    await second.stop();
  });

  it.each<[string, (path: string) => Promise<void>]>([
    ['is no database', (path) => writeFile(path, 'x'.repeat(10_000))],
    [
      'is another program’s',
      async (path) => {
        const other = new DatabaseSync(path);
        other.exec('PRAGMA application_id = 7; CREATE TABLE t (x)');
        other.close();
      },
    ],
    [
      'is of a later version',
      async (path) => {
        const bridge = bridgeOn(folder);
        await bridge.start();
        await bridge.stop();
        const later = new DatabaseSync(path);
        later.exec('PRAGMA user_version = 99');
        later.close();
      },
    ],
    [
      'is damaged',
      async (path) => {
        const bridge = bridgeOn(folder);
        await bridge.start();
        await bridge.stop();
        const file = await open(path, 'r+');
        await file.write(new Uint8Array(4096).fill(0x5a), 0, 4096, 4096);
        await file.close();
      },
    ],
  ])('on a registry that %s is refused (STORAGE_CORRUPT), the file left as it is', async (_what, spoil) => {
    const path = join(folder, 'registry.sqlite');
    await spoil(path);
    const before = await stat(path);
    await expect(bridgeOn(folder).start()).rejects.toMatchObject({ code: 'STORAGE_CORRUPT' });
    expect((await stat(path)).size).toBe(before.size);
  });

  it('makes its key once, for its owner only, and refuses one that others can read (NOT_AUTHORIZED)', async () => {
    const key = join(folder, 'capability.key');
    const bridge = bridgeOn(folder);
    await bridge.start();
    await bridge.stop();
    expect((await stat(key)).mode & 0o777).toBe(0o600);
    await chmod(key, 0o640);
    await expect(bridgeOn(folder).start()).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' });
    await chmod(key, 0o600);
    await writeFile(key, 'short');
    await expect(bridgeOn(folder).start()).rejects.toMatchObject({ code: 'STORAGE_CORRUPT' });
  });

  it('keeps everything from other users', async () => {
    const world = await openBridgeWorld();
    await world.agent.put(await mintPut(world, 'a'), new Uint8Array(1));
    for (const name of ['', 'attempts', 'inputs', 'capability.key'])
      expect((await stat(join(world.directory, 'bridge', name))).mode & 0o077).toBe(0);
    await world.close();
  });
});
