import { rm, truncate } from 'node:fs/promises';
import { createNodeDisk } from '../../adapters/storage/bridge/disk.ts';
import type { Disk, DiskFile } from '../../adapters/storage/bridge/disk.ts';
import { CoPilotError } from '../../protocol/errors.ts';

/** What a test may do to the disk under the bridge. */
export interface FaultyDisk extends Disk {
  /** While set, nothing can be written. */
  isFull: boolean;
  /** Forgets every byte and name that was not synced, as a power cut does. */
  cutPower(): Promise<void>;
}

/** The real disk, with what happens before and after each step told to the test, which may not return. */
export function createFaultyDisk(at: (step: string) => void = () => undefined): FaultyDisk {
  const real = createNodeDisk();
  /** Synced bytes of files that have others. */
  const unsynced = new Map<string, number>();
  const step = async <T>(name: string, act: () => Promise<T>): Promise<T> => {
    at(`before ${name}`);
    const result = await act();
    at(`after ${name}`);
    return result;
  };
  const disk: FaultyDisk = {
    ...real,
    isFull: false,
    open: (path, mode) =>
      step('open', async () => {
        requireSpace(disk, mode === 'create');
        const file = await real.open(path, mode);
        if (mode === 'create') unsynced.set(path, 0);
        return watch(file, path);
      }),
    rename: (from, to) => step('rename', () => real.rename(from, to)),
    remove: (path) => step('remove', () => real.remove(path)),
    async cutPower() {
      for (const [path, length] of unsynced) {
        if (length === 0) await rm(path, { force: true });
        else await truncate(path, length);
      }
      unsynced.clear();
    },
  };
  const watch = (file: DiskFile, path: string): DiskFile => {
    return {
      ...file,
      write: (bytes, position) =>
        step('write', async () => {
          requireSpace(disk, true);
          if (!unsynced.has(path)) unsynced.set(path, position);
          await file.write(bytes, position);
        }),
      sync: () =>
        step('sync', async () => {
          await file.sync();
          unsynced.delete(path);
        }),
    };
  };
  return disk;
}

function requireSpace(disk: FaultyDisk, isNeeded: boolean): void {
  if (disk.isFull && isNeeded) throw new CoPilotError('STORAGE_FULL', 'the disk is full, as asked');
}
