import type { DatabaseSync } from 'node:sqlite';

/**
 * Gathers what is written in one turn of the loop into one transaction. While the log is synced none ends: a file system lets a page that
 * is on its way to the disk be written by nobody, and the loop would stand still.
 */
export interface WriteTurns {
  /** Before each write. */
  begin(): void;
  /** Throws where what was written since the last end could not be kept. */
  end(): void;
  /** Ends, and resolves when the log was synced. Rejects as `end`, or as the sync. */
  settle(): Promise<void>;
}

export function createWriteTurns(database: DatabaseSync, sync: () => Promise<void>): WriteTurns {
  let isOpen = false;
  let isSyncing = false;
  /** Of an end that nobody waited for. */
  let fault: Error | undefined;

  const commit = (): void => {
    if (!isOpen) return;
    isOpen = false;
    try {
      database.exec('COMMIT');
    } catch (caught) {
      database.exec('ROLLBACK');
      throw caught;
    }
  };
  const endLater = (): void => {
    setImmediate(() => {
      if (isSyncing) return;
      try {
        commit();
      } catch (caught) {
        fault = caught instanceof Error ? caught : new Error('a turn was not kept', { cause: caught });
      }
    });
  };
  const end = (): void => {
    commit();
    const lost = fault;
    fault = undefined;
    if (lost !== undefined) throw lost;
  };

  return {
    begin() {
      if (isOpen) return;
      database.exec('BEGIN IMMEDIATE');
      isOpen = true;
      if (!isSyncing) endLater();
    },
    end,
    async settle() {
      end();
      isSyncing = true;
      try {
        await sync();
      } finally {
        isSyncing = false;
        if (isOpen) endLater();
      }
    },
  };
}
