import { existsSync } from 'node:fs';
import { chmod, mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { AttemptRef } from '../../adapters/storage/storage-adapter.ts';
import {
  forgetAttempts,
  type KeptFile,
  keptFiles,
} from '../../adapters/storage/bridge/backed-up-registry.ts';
import { TRUST_FILE } from '../../adapters/trust.ts';
import { RING_FILE } from '../../broker/keys/key-ring.ts';
import { newId } from '../../protocol/encoding.ts';
import { syncDirectory } from '../../protocol/runtime/durable-file.ts';
import { CoPilotError, toCoPilotError } from '../../protocol/errors.ts';
import { nodeRandom } from '../../protocol/runtime/node-runtime.ts';
import { generatedFile, type Role, ROLES, roleDirectory } from '../installation.ts';
import { loadConfiguration } from '../configuration/load.ts';
import { copyDurably, writeDurably } from './durable-copy.ts';
import { copyFrameworkFolders } from './framework-folders.ts';
import { type BackupFile, type BackupManifest, digestOf, MANIFEST } from './manifest.ts';
import { DATABASES, snapshotRole } from './role-snapshot.ts';

export interface BackupOptions {
  /** Of the installation, running or not. */
  readonly directory: string;
  /** Must not be there yet. */
  readonly to: string;
  /** Also the bridge's inputs and results. */
  readonly withFiles: boolean;
  readonly onProgress: (what: string, done: number, total: number) => void;
}

export interface BackupResult {
  readonly directory: string;
  readonly files: number;
  readonly bytes: number;
  /** Files of the bridge that went while they were copied, none of them a result. */
  readonly gone: number;
}

/**
 * The order is what makes copies of different moments fit: the queue and the adapters of frameworks, which are copied before all of these,
 * never know an end that the ledger does not, and the ledger names no result whose files the bridge does not have. What the later ones know beyond that, putting them back takes away.
 */
const ORDER: readonly Role[] = ['local', 'broker', 'bridge'];

/**
 * Copies an installation while it runs. What lies at `to` in the end is whole and synced, or it is not there. Rejects with
 * `CONFLICT` where `to` exists, and as the parts do.
 */
export async function backUp(options: BackupOptions): Promise<BackupResult> {
  const to = resolve(options.to);
  if (existsSync(to)) throw new CoPilotError('CONFLICT', `${to} is there already; name another place`);
  const draft = `${to}.${newId(nodeRandom).slice(0, 8)}.part`;
  await mkdir(draft, { recursive: true, mode: 0o700 });
  await chmod(draft, 0o700);
  try {
    const result = await fill(options, draft);
    await rename(draft, to);
    await syncDirectory(dirname(to));
    return { ...result, directory: to };
  } catch (caught) {
    await rm(draft, { recursive: true, force: true });
    throw full(caught) ?? toCoPilotError(caught);
  }
}

async function fill(options: BackupOptions, draft: string): Promise<Omit<BackupResult, 'directory'>> {
  const { directory, withFiles } = options;
  const beganMs = performance.now();
  const ofFrameworks = await copyFrameworkFolders(directory, draft, options.onProgress);
  let beforeLedgerMs = 0;
  for (const role of ORDER) {
    await copyRole(options, role, draft);
    if (role === 'broker') beforeLedgerMs = Math.ceil(performance.now() - beganMs);
  }
  const kept = withFiles ? await copyFiles(options, draft) : { files: [], gone: 0 };
  const files: BackupFile[] = [];
  for (const path of [...smallFiles(directory), ...ofFrameworks]) {
    if (!existsSync(join(draft, path))) await copyDurably(join(directory, path), join(draft, path));
    files.push({ path, ...(await digestOf(join(draft, path))) });
  }
  const all = [...files, ...kept.files];
  const manifest: BackupManifest = {
    kind: 'co-pilot-backup',
    version: 1,
    createdAt: new Date().toISOString(),
    withFiles,
    ...(ofFrameworks.length > 0 && {
      frameworks: { queues: await queuesOfFrameworks(directory), beforeLedgerMs },
    }),
    files: all,
  };
  await writeDurably(join(draft, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
  for (const place of new Set(['', ...ROLES, ...ofFrameworks.flatMap(foldersAbove)]))
    await syncDirectory(join(draft, place));
  return { files: all.length, bytes: all.reduce((sum, { size }) => sum + size, 0), gone: kept.gone };
}

/** `a/b/c` is in `a/b` and `a`. */
function foldersAbove(path: string): readonly string[] {
  const above = dirname(path);
  return above === '.' ? [] : [above, ...foldersAbove(above)];
}

async function queuesOfFrameworks(directory: string): Promise<readonly string[]> {
  const { settings } = await loadConfiguration({ directory, environment: process.env });
  return Object.entries(settings.queues)
    .filter(([, { jobAdapter }]) => Object.hasOwn(settings.frameworks, jobAdapter))
    .map(([name]) => name);
}

/** Everything but the bridge's files and what frameworks' adapters have, below the installation: databases, keys, settings. */
function smallFiles(directory: string): readonly string[] {
  const databases = ROLES.flatMap((role) => DATABASES[role].map((name) => join(role, name)));
  const keys = ROLES.map((role) => generatedFile('', role));
  const rolled = [join('broker', RING_FILE), ...ROLES.map((role) => join(role, TRUST_FILE))];
  const others = ['bridge/capability.key', 'co-pilot.yaml', ...rolled].filter((path) =>
    existsSync(join(directory, path)),
  );
  return [...databases, ...keys, ...others];
}

async function copyRole({ directory, onProgress }: BackupOptions, role: Role, draft: string): Promise<void> {
  await using snapshot = await snapshotRole(directory, role, ({ donePages, totalPages }) =>
    onProgress(`pages of the ${role}`, donePages, totalPages),
  );
  for (const name of DATABASES[role]) await copyDurably(snapshot.path(name), join(draft, role, name));
}

async function copyFiles({ directory, onProgress }: BackupOptions, draft: string) {
  const registry = join(draft, 'bridge', 'registry.sqlite');
  let total = 0;
  for (const { size } of keptFiles(registry)) total += size;
  const files: BackupFile[] = [];
  const gone = new Map<string, AttemptRef>();
  let done = 0;
  for (const kept of keptFiles(registry)) {
    const from = join(roleDirectory(directory, 'bridge'), kept.path);
    const path = join('bridge', kept.path);
    const copied = await copyDurably(from, join(draft, path), (count) => {
      done += count;
      onProgress('bytes of files', done, total);
    }).catch((caught: unknown) => absent(caught, kept));
    if (copied === undefined) {
      if (kept.attempt !== undefined) gone.set(JSON.stringify(kept.attempt), kept.attempt);
    } else if (copied.sha256 !== kept.sha256)
      throw new CoPilotError(
        'STORAGE_CORRUPT',
        `${from} is not what the bridge's records say; nothing was backed up`,
      );
    else files.push({ path, ...copied });
  }
  forgetAttempts(registry, [...gone.values()]);
  const isLeft = new Set(
    [...gone.values()].map((ref) => join('bridge', 'attempts', ref.job, String(ref.attempt))),
  );
  const left = files.filter(({ path }) => !isLeft.has(dirname(path)));
  return { files: left, gone: gone.size };
}

/** An attempt's files go when it is discarded; an input or a result that is not there is damage. */
function absent(caught: unknown, kept: KeptFile): undefined {
  const isGone = caught instanceof Error && 'code' in caught && caught.code === 'ENOENT';
  if (isGone && kept.attempt !== undefined && !kept.isResult) return undefined;
  if (!isGone) throw caught;
  throw new CoPilotError(
    'STORAGE_CORRUPT',
    `the bridge's ${kept.path} is not there; if results are being removed just now, back up again, else restore the file`,
    { cause: caught },
  );
}

function full(caught: unknown): CoPilotError | undefined {
  const isFull =
    caught instanceof Error && 'code' in caught && (caught.code === 'ENOSPC' || caught.code === 'EDQUOT');
  return isFull
    ? new CoPilotError('STORAGE_FULL', 'no room for the backup: make some, or back up elsewhere', {
        cause: caught,
      })
    : undefined;
}
