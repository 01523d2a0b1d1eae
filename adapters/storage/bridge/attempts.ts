import { CoPilotError } from '../../../protocol/errors.ts';
import type { Capability, File, Grant, StoredFile as FoundFile } from '../../../protocol/generated/types.ts';
import type { Clock, Crypto, Log } from '../../../protocol/runtime/runtime.ts';
import { capabilityEnd, requireWithin } from '../ceiling.ts';
import type { Ceiling } from '../ceiling.ts';
import { compareManifest } from '../manifest.ts';
import type { AttemptRef, StorageAdapter, Verified } from '../storage-adapter.ts';
import { signCapability } from './capability-token.ts';
import type { CapabilityClaims } from './capability-token.ts';
import type { Disk } from './disk.ts';
import type { Places } from './places.ts';
import type { Quota } from './quota.ts';
import type { Registry } from './registry.ts';
import type { StoredFile, Tables } from './tables.ts';
import { inputPath, uploadPath } from './target.ts';
import type { Writers } from './writers.ts';

export interface AttemptParts {
  readonly ceiling: Ceiling;
  readonly clock: Clock;
  readonly crypto: Crypto;
  readonly disk: Disk;
  readonly log: Log;
  readonly places: Places;
  readonly quota: Quota;
  readonly registry: Registry;
  readonly tokenKey: Uint8Array;
  readonly writers: Writers;
  /** What agents reach the bridge by, without a slash at the end. */
  readonly baseUrl: string;
}

/** The port the broker speaks to, over files in place: registering a result writes one row and moves no byte. */
export function createAttempts(parts: AttemptParts): StorageAdapter {
  return {
    mint: async (grant) => mint(parts, grant),
    verify: (attempt, manifest) => verify(parts, attempt, manifest),
    finalise: (attempt, manifest) => finalise(parts, attempt, manifest),
    discard: (attempt) => discard(parts, attempt),
  };
}

function mint(parts: AttemptParts, grant: Grant): readonly Capability[] {
  requireWithin(grant, parts.ceiling);
  if (parts.registry.tables.state(grant) !== 'open') throw notLive();
  const common = {
    job: grant.job,
    attempt: grant.attempt,
    total: grant.totalBytes,
    exp: capabilityEnd(grant, parts.ceiling, parts.clock.wallMs()),
    cnf: { jkt: grant.jkt },
  };
  const gets = grant.get.map(({ name, size, sha256 }) =>
    capability(parts, inputPath(sha256), { ...common, name, verb: 'get', max: size, sha256 }),
  );
  const puts = grant.put.map(({ name, maxBytes, sha256 }) => {
    const claims = { ...common, name, verb: 'put' as const, max: maxBytes };
    const pinned = sha256 === undefined ? claims : { ...claims, sha256 };
    return capability(parts, uploadPath(grant.job, grant.attempt, name), pinned);
  });
  return [...gets, ...puts];
}

function capability(parts: AttemptParts, path: string, claims: CapabilityClaims): Capability {
  const token = signCapability(parts.crypto, parts.tokenKey, claims);
  return { verb: claims.verb, name: claims.name, url: parts.baseUrl + path, token };
}

/** From here nothing more is written in the attempt; what was half written does not count. */
async function verify(parts: AttemptParts, ref: AttemptRef, manifest: readonly File[]): Promise<Verified> {
  const verified = await parts.writers.alone(ref, () =>
    parts.registry.write((tables) => {
      const state = tables.state(ref);
      if (state === 'discarded') throw notLive();
      if (state === 'open') tables.setState(ref, 'closed', parts.clock.wallMs());
      return compareManifest(wholeFiles(tables, ref), manifest);
    }),
  );
  parts.log.info({ ...ref, outcome: verified.kind }, 'files checked');
  return verified;
}

async function finalise(parts: AttemptParts, ref: AttemptRef, manifest: readonly File[]): Promise<void> {
  await parts.writers.alone(ref, async () => {
    const removed = await parts.registry.write((tables) =>
      register(tables, ref, manifest, parts.clock.wallMs()),
    );
    await removeAll(parts, removed);
  });
  parts.log.info(ref, 'result registered');
}

/** The fence: one row says which attempt is the job's result, and no second such row can be (a unique index besides). */
function register(
  tables: Tables,
  ref: AttemptRef,
  manifest: readonly File[],
  nowMs: number,
): readonly Removed[] {
  const state = tables.state(ref);
  if (state === 'discarded') throw notLive();
  const whole = wholeFiles(tables, ref);
  const isOther = state === 'registered' && manifest.length !== whole.length;
  if (isOther || compareManifest(whole, manifest).kind === 'mismatch')
    throw new CoPilotError('DIGEST_MISMATCH', 'the manifest is not what is stored');
  if (state === 'registered') return [];
  tables.setState(ref, 'registered', nowMs);
  const named = new Set(manifest.map((file) => file.name));
  const beside = tables.files(ref).filter((file) => !named.has(file.name));
  const others = tables.otherAttempts(ref).flatMap((other) => dropFiles(tables, other, tables.files(other)));
  return [...dropFiles(tables, ref, beside), ...others];
}

async function discard(parts: AttemptParts, ref: AttemptRef): Promise<void> {
  await parts.writers.alone(ref, async () => {
    const removed = await parts.registry.write((tables) => {
      if (tables.state(ref) === 'registered') throw notLive();
      tables.setState(ref, 'discarded', parts.clock.wallMs());
      return dropFiles(tables, ref, tables.files(ref));
    });
    await removeAll(parts, removed);
    await parts.disk.remove(parts.places.attempt(ref));
  });
  parts.log.info(ref, 'attempt discarded');
}

/** A file without a row, its bytes still on disk. */
interface Removed {
  readonly ref: AttemptRef;
  readonly file: StoredFile;
}

function dropFiles(tables: Tables, ref: AttemptRef, files: readonly StoredFile[]): readonly Removed[] {
  for (const file of files) tables.deleteFile(ref, file.name);
  return files.map((file) => ({ ref, file }));
}

/** What cannot be removed now is swept up at the next start: it has no row, so nobody is served it. */
async function removeAll(parts: AttemptParts, removed: readonly Removed[]): Promise<void> {
  for (const { ref, file } of removed) {
    parts.quota.free(file.size);
    try {
      await parts.disk.remove(parts.places.file(ref, file.name));
    } catch (error) {
      parts.log.warn({ job: ref.job, attempt: ref.attempt, error: String(error) }, 'a file was left behind');
    }
  }
}

function wholeFiles(tables: Tables, ref: AttemptRef): readonly FoundFile[] {
  return tables
    .files(ref)
    .filter((file) => file.isComplete)
    .map(({ name, size, sha256, digests }) => ({ name, size, sha256, ...digests }));
}

function notLive(): CoPilotError {
  return new CoPilotError('ATTEMPT_NOT_LIVE', 'the attempt was closed, finalised or discarded');
}
