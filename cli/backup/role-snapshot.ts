import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as pause } from 'node:timers/promises';
import { CoPilotError, type ErrorCode } from '../../protocol/errors.ts';
import type { SnapshotState } from '../../protocol/runtime/snapshot-desk.ts';
import { snapshotDatabase, type SnapshotProgress } from '../../protocol/runtime/sqlite-snapshot.ts';
import { exportLedger } from '../../broker/ledger/postgres-export.ts';
import { ledgerError } from '../../broker/ledger/sqlite-errors.ts';
import { askRole } from '../connection.ts';
import { readConfiguration, type Role, roleDirectory } from '../installation.ts';

const LEDGER = 'ledger.sqlite';

/** The databases of each role, in the order in which they are copied. */
export const DATABASES: Readonly<Record<Role, readonly string[]>> = {
  broker: ['codes.sqlite', LEDGER],
  local: ['queue.sqlite'],
  bridge: ['registry.sqlite'],
};

/** Copies of a role's databases, until they are released. */
export interface RoleSnapshot extends AsyncDisposable {
  readonly isRunning: boolean;
  readonly path: (database: string) => string;
}

const LOOK_MS = 100;

/**
 * Copies what a role keeps: by the program itself where it runs, since it holds its files for itself, else straight from the
 * files, and from the database where the ledger is in one. Throws `NOT_FOUND` where the role has never run.
 */
export async function snapshotRole(
  directory: string,
  role: Role,
  onProgress: (progress: SnapshotProgress) => void,
): Promise<RoleSnapshot> {
  const begun = await askRole<SnapshotState>(directory, role, 'POST', '/v1/snapshot').catch(notRunning);
  return begun === undefined
    ? snapshotFiles(directory, role, onProgress)
    : awaitSnapshot(directory, role, onProgress);
}

function notRunning(caught: unknown): undefined {
  if (caught instanceof CoPilotError && caught.code === 'UNREACHABLE') return undefined;
  throw caught;
}

async function awaitSnapshot(
  directory: string,
  role: Role,
  onProgress: (progress: SnapshotProgress) => void,
): Promise<RoleSnapshot> {
  for (;;) {
    const now = await askRole<SnapshotState>(directory, role, 'GET', '/v1/snapshot');
    if (now.state === 'failed') throw new CoPilotError(now.code as ErrorCode, now.message); // our own program said it
    if (now.state === 'none') throw new CoPilotError('CONFLICT', `somebody removed the copy of the ${role}`);
    if (now.state === 'done') {
      const place = now.directory;
      return {
        isRunning: true,
        path: (database) => join(place, database),
        async [Symbol.asyncDispose]() {
          await askRole(directory, role, 'DELETE', '/v1/snapshot').catch(notRunning);
        },
      };
    }
    onProgress(now);
    await pause(LOOK_MS);
  }
}

async function snapshotFiles(
  directory: string,
  role: Role,
  onProgress: (progress: SnapshotProgress) => void,
): Promise<RoleSnapshot> {
  const own = roleDirectory(directory, role);
  const elsewhere = role === 'broker' ? (await readConfiguration(directory, role))?.ledger?.place : undefined;
  const files = DATABASES[role].filter((name) => elsewhere === undefined || name !== LEDGER);
  for (const name of files)
    if (!existsSync(join(own, name)))
      throw new CoPilotError(
        'NOT_FOUND',
        `there is no ${join(own, name)}; has this installation been started?`,
      );
  const place = await mkdtemp(join(own, 'snapshot-'));
  const remove = (): Promise<void> => rm(place, { recursive: true, force: true });
  try {
    for (const name of files) await copyClosed(join(own, name), join(place, name), onProgress);
    if (elsewhere !== undefined) await exportLedger(elsewhere, join(place, LEDGER), onProgress);
  } catch (caught) {
    await remove();
    throw caught;
  }
  return { isRunning: false, path: (database) => join(place, database), [Symbol.asyncDispose]: remove };
}

async function copyClosed(
  from: string,
  to: string,
  onProgress: (progress: SnapshotProgress) => void,
): Promise<void> {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(from);
    await snapshotDatabase(database, to, onProgress);
  } catch (caught) {
    throw ledgerError(caught, from);
  } finally {
    database?.close();
  }
}
