import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDiskStore } from '../../../agent/store/disk.ts';
import { attemptKey } from '../../../agent/store/store.ts';
import type { Attempt } from '../../../protocol/generated/types.ts';
import { agentStoreConformance, type AgentStoreUnderTest } from '../../conformance/agent-store.ts';

for (const isPassable of [false, true])
  agentStoreConformance(`disk, passable: ${isPassable}`, { holdsFiles: true }, () => onDisk(isPassable));

function onDisk(isPassable: boolean): AgentStoreUnderTest {
  let directory = '';
  const entryFile = (attempt: Attempt): string =>
    join(directory, 'attempts', attemptKey(attempt), 'entry.json');
  return {
    async open() {
      if (directory === '') directory = await mkdtemp(join(tmpdir(), 'agent-store-'));
      return openDiskStore({ directory, isPassable });
    },
    leave: async (store, attempt, name, bytes) =>
      writeFile(await store.workplace(attempt).place(name), bytes),
    say: (store, attempt, progress) => writeFile(store.workplace(attempt).progressFile, progress),
    damage: (attempt) => writeFile(entryFile(attempt), '{'),
    // Where the new text would be written first there is something else.
    failNextSave: (attempt) => mkdir(`${entryFile(attempt)}.new`),
    dispose: () => rm(directory, { recursive: true, force: true }),
  };
}
