import { existsSync } from 'node:fs';
import { chmod, mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { reconcileRegistry, type Standing } from '../../adapters/storage/bridge/backed-up-registry.ts';
import type { AttemptRef } from '../../adapters/storage/storage-adapter.ts';
import type { JobRow } from '../../broker/core/state.ts';
import { checkLedger } from '../../broker/ledger/check-ledger.ts';
import { reconcileLedger, type ReconciledLedger } from '../../broker/ledger/restored-ledger.ts';
import { toldLately } from '../../broker/ledger/told-lately.ts';
import { newId } from '../../protocol/encoding.ts';
import { syncDirectory } from '../../protocol/runtime/durable-file.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import { nodeRandom } from '../../protocol/runtime/node-runtime.ts';
import { askRole } from '../connection.ts';
import { controlSocket, ROLES, roleDirectory } from '../installation.ts';
import { copyDurably } from './durable-copy.ts';
import { FRAMEWORKS, heldInFrameworks } from './framework-folders.ts';
import { isLocked } from './locked-file.ts';
import { type BackupManifest, checkFile, readManifest } from './manifest.ts';

export interface RestoreOptions {
  /** The backup. */
  readonly from: string;
  /** Where the installation is to lie. */
  readonly directory: string;
  /** Move what is there aside; without it an installation is never replaced. */
  readonly force: boolean;
  /** Check everything and say what would be done, and do nothing. */
  readonly dryRun: boolean;
  readonly onProgress: (what: string, done: number, total: number) => void;
}

export interface RestoreResult {
  readonly directory: string;
  readonly createdAt: string;
  readonly files: number;
  /** Where what was there lies now; null where nothing was. */
  readonly aside: string | null;
  readonly withFiles: boolean;
  /** Null for a dry run, which touches nothing. */
  readonly reconciled: (ReconciledLedger & { readonly takenBack: number }) | null;
}

const SETTINGS = 'co-pilot.yaml';
const FILE_PLACES = ['attempts', 'inputs'];
/** All that an installation has in its folder, but for agents. */
const PARTS = [...ROLES, FRAMEWORKS, SETTINGS];

/**
 * Puts a backup back. Rejects with `CONFLICT` while a part runs or where an installation lies, `DIGEST_MISMATCH` where a file is
 * not what was backed up, `LEDGER_CORRUPT` where the ledger in it is not sound; then nothing was changed.
 */
export async function restore(options: RestoreOptions): Promise<RestoreResult> {
  const directory = resolve(options.directory);
  const manifest = await readManifest(options.from);
  await requireStopped(directory);
  const there = PARTS.filter((name) => existsSync(join(directory, name)));
  if (there.length > 0 && !options.force)
    throw new CoPilotError(
      'CONFLICT',
      `${join(directory, there[0] ?? '')} is there already; restore into another directory with --data, or move it aside with --force`,
    );
  await checkAll(options, manifest);
  const id = newId(nodeRandom).slice(0, 8);
  const aside = there.length === 0 ? null : join(directory, `before-restore-${id}`);
  const result = {
    directory,
    createdAt: manifest.createdAt,
    files: manifest.files.length,
    aside,
    withFiles: manifest.withFiles,
  };
  if (options.dryRun) return { ...result, reconciled: null };
  const draft = join(directory, `restore-${id}.part`);
  try {
    await mkdir(directory, { recursive: true, mode: 0o755 });
    await fill(options, manifest, draft);
    const reconciled = reconcile(draft, manifest);
    await putInPlace(directory, draft, aside, manifest);
    return { ...result, reconciled };
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function requireStopped(directory: string): Promise<void> {
  for (const role of ROLES) {
    const isRunning = await askRole(directory, role, 'GET', '/v1/snapshot').then(
      () => true,
      (caught: unknown) => !(caught instanceof CoPilotError && caught.code === 'UNREACHABLE'),
    );
    if (isRunning) throw new CoPilotError('CONFLICT', `the ${role} of ${directory} runs: stop it first`);
  }
  // A program that answers nobody still holds its file.
  const ledger = join(roleDirectory(directory, 'broker'), 'ledger.sqlite');
  const [held] = [...(isLocked(ledger) ? [ledger] : []), ...(await heldInFrameworks(directory))];
  if (held !== undefined) throw new CoPilotError('CONFLICT', `${held} is in use: stop its program first`);
}

async function checkAll({ from, onProgress }: RestoreOptions, { files }: BackupManifest): Promise<void> {
  for (const [at, file] of files.entries()) {
    await checkFile(from, file);
    onProgress('files checked', at + 1, files.length);
  }
  const { faults, faultCount } = checkLedger(join(from, 'broker', 'ledger.sqlite'), () => undefined);
  if (faultCount > 0)
    throw new CoPilotError(
      'LEDGER_CORRUPT',
      `the ledger of this backup has ${faultCount} faults, so it is not put back; the first: ${faults[0] ?? ''}`,
    );
}

async function fill(
  { from, onProgress }: RestoreOptions,
  { files }: BackupManifest,
  draft: string,
): Promise<void> {
  await mkdir(draft, { mode: 0o700 });
  for (const [at, { path, sha256 }] of files.entries()) {
    const copied = await copyDurably(join(from, path), join(draft, path));
    if (copied.sha256 !== sha256)
      throw new CoPilotError('DIGEST_MISMATCH', `${path} changed while it was copied`);
    onProgress('files copied', at + 1, files.length);
  }
}

/** Copies of several moments become one. */
function reconcile(
  draft: string,
  { frameworks }: BackupManifest,
): ReconciledLedger & { readonly takenBack: number } {
  const ledgerPath = join(draft, 'broker', 'ledger.sqlite');
  const forgotten =
    frameworks === undefined
      ? new Set()
      : toldLately(ledgerPath, { queues: frameworks.queues, withinMs: frameworks.beforeLedgerMs });
  const queue = new DatabaseSync(join(draft, 'local', 'queue.sqlite'));
  const ledger = new DatabaseSync(ledgerPath);
  try {
    const state = queue.prepare('SELECT state FROM job WHERE id = ?');
    const row = ledger.prepare('SELECT row FROM job WHERE id = ?');
    // A job that neither the queue nor a framework's adapter knows is nobody's any more: there is nobody to tell.
    const knowsEnd = (job: string): boolean => {
      const known = state.get(job)?.['state'];
      return known === undefined ? !forgotten.has(job) : ENDED.has(String(known));
    };
    const standing = (ref: AttemptRef): Standing => {
      const found = row.get(ref.job)?.['row'];
      if (found === undefined) return knowsEnd(ref.job) ? 'result' : 'neither';
      return standingOf(JSON.parse(String(found)) as JobRow, ref.attempt); // checked before
    };
    const takenBack = reconcileRegistry(join(draft, 'bridge', 'registry.sqlite'), standing);
    ledger.close();
    return { ...reconcileLedger(ledgerPath, knowsEnd), takenBack };
  } finally {
    queue.close();
    if (ledger.isOpen) ledger.close();
  }
}

const ENDED: ReadonlySet<string> = new Set(['finished', 'failed', 'cancelled']);

function standingOf(job: JobRow, number: number): Standing {
  const state = job.attempts.find((attempt) => attempt.number === number)?.state;
  if (state === 'committed' || state === 'committing') return 'result';
  return state === 'reported' || state === 'waiting' ? 'waits' : 'neither';
}

/** Renames only: what was there first, then what was restored. */
async function putInPlace(
  directory: string,
  draft: string,
  aside: string | null,
  { withFiles }: BackupManifest,
): Promise<void> {
  if (aside !== null) await mkdir(aside, { mode: 0o700 });
  for (const name of PARTS) {
    if (aside !== null && existsSync(join(directory, name)))
      await rename(join(directory, name), join(aside, name));
    if (existsSync(join(draft, name))) await rename(join(draft, name), join(directory, name));
  }
  if (!withFiles && aside !== null) await keepFiles(directory, aside);
  for (const role of ROLES) {
    await mkdir(dirname(controlSocket(directory, role)), { recursive: true, mode: 0o700 });
    await chmod(roleDirectory(directory, role), 0o700);
    await syncDirectory(roleDirectory(directory, role));
  }
  await syncDirectory(directory);
}

/** A backup without files goes with those that are there. */
async function keepFiles(directory: string, aside: string): Promise<void> {
  for (const place of FILE_PLACES)
    if (existsSync(join(aside, 'bridge', place)))
      await rename(join(aside, 'bridge', place), join(directory, 'bridge', place));
}
