import { open } from 'node:fs/promises';
import { backup, type DatabaseSync } from 'node:sqlite';

/** How far a copy has come, in pages of the database. */
export interface SnapshotProgress {
  readonly donePages: number;
  readonly totalPages: number;
}

/** Few, so that whoever writes meanwhile never waits long for one step. */
const PAGES_A_STEP = 64;
/** A first step that met a transaction is told as BUSY, as LOCKED, or, where nothing else was asked of the copy, as no error at all. */
const MET_A_TRANSACTION = [0, 5, 6];
/** A first step that met a transaction under way begins again; each of ours lasts one turn of the loop. */
const MAX_BEGINNINGS = 100;

/**
 * Copies an open database to a new file while it is written to, and syncs the copy. It shows one moment after the call, whole
 * transactions only. Rejects as `backup` of node:sqlite does; what it left at `path` is then no copy.
 */
export async function snapshotDatabase(
  database: DatabaseSync,
  path: string,
  onProgress: (progress: SnapshotProgress) => void,
): Promise<void> {
  for (let beginning = 1; ; beginning += 1) {
    try {
      await backup(database, path, {
        rate: PAGES_A_STEP,
        progress: ({ totalPages, remainingPages }) =>
          onProgress({ totalPages, donePages: totalPages - remainingPages }),
      });
      break;
    } catch (caught) {
      if (!metATransaction(caught) || beginning >= MAX_BEGINNINGS) throw caught;
    }
  }
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

function metATransaction(caught: unknown): boolean {
  return (
    caught instanceof Error &&
    'errcode' in caught &&
    MET_A_TRANSACTION.includes(Number(caught.errcode) & 0xff)
  );
}
