import { createReadStream } from 'node:fs';
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { isAbsolute, join, normalize } from 'node:path';
import { CoPilotError } from '../../protocol/errors.ts';

/** One file of a backup. */
export interface BackupFile {
  /** Below the installation, and below the backup. */
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
}

/** What lies in a backup, written last. */
export interface BackupManifest {
  readonly kind: 'co-pilot-backup';
  readonly version: 1;
  readonly createdAt: string;
  /** False where the bridge's files were left out: then they must be put back from elsewhere. */
  readonly withFiles: boolean;
  /** Left out where no framework's adapter has a part. */
  readonly frameworks?: FrameworksInBackup;
  readonly files: readonly BackupFile[];
}

/** What a restore has to know of the copies of frameworks' adapters. */
export interface FrameworksInBackup {
  /** Those that the adapters had. */
  readonly queues: readonly string[];
  /** How long before the copy of the ledger was there theirs were begun. */
  readonly beforeLedgerMs: number;
}

export const MANIFEST = 'manifest.json';

/** Throws `NOT_FOUND` where there is no backup, `INVALID_REQUEST` where its manifest is none of ours. */
export async function readManifest(backup: string): Promise<BackupManifest> {
  const path = join(backup, MANIFEST);
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new CoPilotError('NOT_FOUND', `there is no whole backup in ${backup}: ${path} cannot be read`, {
      cause,
    });
  });
  const value = parsed(text);
  if (!isManifest(value)) throw new CoPilotError('INVALID_REQUEST', `${path} is no manifest of a backup`);
  return value;
}

/** Compares size and digest of a file with what the manifest says; throws `DIGEST_MISMATCH`. */
export async function checkFile(backup: string, { path, size, sha256 }: BackupFile): Promise<void> {
  const found = await digestOf(join(backup, path)).catch(() => undefined);
  if (found?.size !== size || found.sha256 !== sha256)
    throw new CoPilotError('DIGEST_MISMATCH', `${join(backup, path)} is missing, or not what was backed up`);
}

export async function digestOf(path: string): Promise<{ readonly size: number; readonly sha256: string }> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  return { size: (await stat(path)).size, sha256: hash.digest('hex') };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isManifest(value: unknown): value is BackupManifest {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, version, files, frameworks, withFiles } = value as Readonly<Record<string, unknown>>;
  return (
    kind === 'co-pilot-backup' &&
    version === 1 &&
    typeof withFiles === 'boolean' &&
    (frameworks === undefined || isOfFrameworks(frameworks)) &&
    Array.isArray(files) &&
    files.every(isBackupFile)
  );
}

function isOfFrameworks(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { queues, beforeLedgerMs } = value as Readonly<Record<string, unknown>>;
  return (
    Array.isArray(queues) &&
    queues.every((queue) => typeof queue === 'string') &&
    typeof beforeLedgerMs === 'number'
  );
}

/** A manifest may have been changed: no path of it leads out of the folder it is put back to. */
function isBackupFile(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { path, size, sha256 } = value as Readonly<Record<string, unknown>>;
  return (
    typeof path === 'string' &&
    path !== '' &&
    !isAbsolute(path) &&
    normalize(path) === path &&
    !path.split('/').includes('..') &&
    typeof size === 'number' &&
    typeof sha256 === 'string' &&
    /^[0-9a-f]{64}$/.test(sha256)
  );
}
