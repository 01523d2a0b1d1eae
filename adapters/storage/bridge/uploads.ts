import { dirname } from 'node:path';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { Clock } from '../../../protocol/runtime/runtime.ts';
import { collidingName, MAX_ATTEMPT_FILES } from '../file-names.ts';
import type { AttemptRef } from '../storage-adapter.ts';
import { readBody } from './body.ts';
import type { Body } from './body.ts';
import { type ExtraAlgorithm, type ExtraDigests, type RunningDigests, startDigests } from './digests.ts';
import type { Disk, DiskFile } from './disk.ts';
import type { BridgeLimits } from './limits.ts';
import type { BridgeMeter } from './metrics.ts';
import type { Places } from './places.ts';
import type { Allowance, Quota, Reservation } from './quota.ts';
import type { Registry } from './registry.ts';
import type { StoredFile } from './tables.ts';
import type { Writer, Writers } from './writers.ts';

export interface UploadParts {
  readonly clock: Clock;
  /** Computed beside SHA-256 as bytes come. */
  readonly digests: readonly ExtraAlgorithm[];
  readonly disk: Disk;
  readonly limits: BridgeLimits;
  readonly meter: BridgeMeter;
  readonly places: Places;
  readonly quota: Quota;
  readonly registry: Registry;
  readonly writers: Writers;
}

/** One file of one attempt, with what its sender promised of it. */
export interface Declared extends Promised {
  readonly allowance: Allowance;
}

interface Promised {
  readonly ref: AttemptRef;
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
}

/** A piece of a file; `contentDigest` is the SHA-256 of the piece where the sender gave one. */
export interface Piece {
  readonly offset: number;
  readonly body: Body;
  readonly contentDigest: string | undefined;
}

export interface UploadState {
  readonly offset: number;
  readonly length: number;
}

/** Bytes of a file that are on disk, and the digest over them so far. */
interface Progress {
  readonly offset: number;
  readonly hash: RunningDigests;
}

/** A file being written, with the digest running beside it. */
interface Landing {
  readonly file: DiskFile;
  readonly hash: RunningDigests;
  offset: number;
  /** The digests are those of the bytes up to `offset`: not so once a write failed. */
  isSound: boolean;
}

/** Begun files whose running digest is kept; of others the bytes are read again when they go on. */
const MAX_KEPT_PROGRESS = 1024;

/**
 * Takes files in. Before a byte lands its room is reserved; a file is there only once size and digest were checked and both
 * bytes and row are durable. Files are written once: what is whole is never touched again.
 */
export class Uploads {
  readonly #parts: UploadParts;
  readonly #progress = new Map<string, Progress>();

  constructor(parts: UploadParts) {
    this.#parts = parts;
  }

  /** How far a file is; undefined where it was not begun. Finishes one whose bytes were all there when the bridge stopped. */
  async state(ref: AttemptRef, name: string): Promise<UploadState | undefined> {
    const stored = this.#parts.registry.tables.file(ref, name);
    if (stored === undefined) {
      this.#requireNoWriter(ref, name);
      return undefined;
    }
    if (stored.isComplete) return { offset: stored.size, length: stored.size };
    return this.#writing(ref, name, () => this.#catchUp(ref, stored));
  }

  /** Takes a whole file; 'present' where it was there already, the same bytes by size and digest. */
  async put(declared: Declared, body: Body): Promise<'created' | 'present'> {
    const { ref, name } = declared;
    if (this.#isPresent(declared)) return 'present';
    return this.#writing<'created'>(ref, name, async (writer) => {
      this.#requireOpen(ref);
      this.#requireNoCollision(ref, name);
      await this.#forget(ref, name);
      const reservation = this.#reserve(declared);
      try {
        const extra = await this.#landWhole(declared, body, writer);
        await this.#complete(declared, extra);
        reservation.keep();
        return 'created';
      } catch (error) {
        reservation.release();
        await this.#parts.disk.remove(this.#path(declared));
        throw error;
      }
    });
  }

  /** Takes the next piece of a file and says how far it is then. Bytes that came before the connection broke are kept. */
  async append(declared: Declared, piece: Piece): Promise<UploadState> {
    const { ref, name } = declared;
    return this.#writing(ref, name, async (writer) => {
      this.#requireOpen(ref);
      this.#requireNoCollision(ref, name);
      const progress = await this.#begun(declared, piece.offset);
      if (progress.offset !== piece.offset)
        throw new CoPilotError('OFFSET_MISMATCH', `the file goes on at ${progress.offset}`);
      if (piece.offset + piece.body.length > declared.size)
        throw new CoPilotError('MALFORMED_REQUEST', 'the piece goes beyond the file');
      const offset = await this.#landPiece(declared, piece, progress, writer);
      if (offset === declared.size) await this.#finishBegun(declared);
      return { offset, length: declared.size };
    });
  }

  async #writing<T>(ref: AttemptRef, name: string, act: (writer: Writer) => Promise<T>): Promise<T> {
    const writer = this.#parts.writers.acquire(ref, name);
    try {
      return await act(writer);
    } finally {
      writer.release();
    }
  }

  #isPresent(declared: Declared): boolean {
    const stored = this.#parts.registry.tables.file(declared.ref, declared.name);
    if (stored?.isComplete !== true) return false;
    if (isSame(stored, declared)) return true;
    throw new CoPilotError('FILE_EXISTS', 'the file is there with other bytes, and files are written once');
  }

  #requireNoWriter(ref: AttemptRef, name: string): void {
    if (this.#parts.writers.names(ref).includes(name))
      throw new CoPilotError('UPLOAD_BUSY', 'another request is writing the file');
  }

  #requireOpen(ref: AttemptRef): void {
    if (this.#parts.registry.tables.state(ref) !== 'open')
      throw new CoPilotError('ATTEMPT_CLOSED', 'the attempt takes no more files');
  }

  /** The writer of `name` is already among the writers, so no other can slip in between this and the row. */
  #requireNoCollision(ref: AttemptRef, name: string): void {
    const stored = this.#parts.registry.tables.files(ref).map((file) => file.name);
    const names = new Set([...stored, ...this.#parts.writers.names(ref)]);
    if (names.size > MAX_ATTEMPT_FILES)
      throw new CoPilotError('QUOTA_EXCEEDED', `an attempt has at most ${MAX_ATTEMPT_FILES} files`);
    const other = collidingName(name, names);
    if (other !== undefined)
      throw new CoPilotError('NAME_COLLISION', `${name} cannot stand beside ${other} on every file system`);
  }

  #reserve(declared: Declared): Reservation {
    const { ref, size, allowance } = declared;
    const stored = this.#parts.registry.tables.files(ref).reduce((sum, file) => sum + file.size, 0);
    return this.#parts.quota.reserve(ref, size, stored, allowance);
  }

  async #landWhole(declared: Declared, body: Body, writer: Writer): Promise<ExtraDigests> {
    const path = this.#path(declared);
    await this.#parts.disk.makeDirectory(dirname(path));
    const landing = {
      file: await this.#parts.disk.open(path, 'create'),
      hash: startDigests(this.#parts.digests),
      offset: 0,
      isSound: true,
    };
    try {
      await this.#land(landing, body, writer);
      requireDigest(landing.hash, declared.sha256);
      await landing.file.sync();
      return landing.hash.extra();
    } finally {
      await landing.file.close();
    }
  }

  async #land(landing: Landing, body: Body, writer: Writer): Promise<void> {
    const { clock, limits, meter } = this.#parts;
    await readBody(body, (chunk) => landChunk(landing, chunk, meter), {
      clock,
      limits,
      signal: writer.signal,
    });
  }

  /** The row that makes a file count; refused where the attempt was closed while its bytes came. */
  async #complete(declared: Promised, digests: ExtraDigests): Promise<void> {
    const { ref, name, size, sha256 } = declared;
    const touchedMs = this.#parts.clock.wallMs();
    await this.#parts.registry.write((tables) => {
      if (tables.state(ref) !== 'open')
        throw new CoPilotError('ATTEMPT_CLOSED', 'the attempt takes no more files');
      tables.putFile(ref, { name, size, sha256, isComplete: true, digests }, touchedMs);
    });
  }

  /** How far the file is, begun now where this is its first piece or another file of that name was begun before. */
  async #begun(declared: Declared, offset: number): Promise<Progress> {
    const stored = this.#parts.registry.tables.file(declared.ref, declared.name);
    if (stored?.isComplete === true) {
      if (!isSame(stored, declared))
        throw new CoPilotError(
          'FILE_EXISTS',
          'the file is there with other bytes, and files are written once',
        );
      throw new CoPilotError('OFFSET_MISMATCH', `the file goes on at ${stored.size}`);
    }
    if (stored !== undefined && isSame(stored, declared)) return this.#resume(declared.ref, stored);
    if (offset !== 0) throw new CoPilotError('OFFSET_MISMATCH', 'the file goes on at 0');
    await this.#forget(declared.ref, declared.name);
    return this.#begin(declared);
  }

  async #begin(declared: Declared): Promise<Progress> {
    const { ref, name, size, sha256 } = declared;
    const touchedMs = this.#parts.clock.wallMs();
    const reservation = this.#reserve(declared);
    try {
      await this.#parts.disk.makeDirectory(this.#parts.places.attempt(ref));
      const file = await this.#parts.disk.open(this.#path(declared), 'create');
      await file.close();
      await this.#parts.registry.write((tables) => {
        if (tables.state(ref) !== 'open')
          throw new CoPilotError('ATTEMPT_CLOSED', 'the attempt takes no more files');
        tables.putFile(ref, { name, size, sha256, isComplete: false, digests: {} }, touchedMs);
      });
      reservation.keep();
    } catch (error) {
      reservation.release();
      await this.#parts.disk.remove(this.#path(declared));
      throw error;
    }
    return { offset: 0, hash: startDigests(this.#parts.digests) };
  }

  /** The progress kept, or read again from disk after a restart. */
  async #resume(ref: AttemptRef, stored: StoredFile): Promise<Progress> {
    const path = this.#parts.places.file(ref, stored.name);
    const kept = this.#progress.get(path);
    if (kept !== undefined) return kept;
    const onDisk = Math.min((await this.#parts.disk.size(path)) ?? 0, stored.size);
    const hash = startDigests(this.#parts.digests);
    const bytes: AsyncIterable<Uint8Array> = this.#parts.disk.read(path, 0, onDisk);
    for await (const chunk of bytes) hash.update(chunk);
    return { offset: onDisk, hash };
  }

  async #landPiece(declared: Declared, piece: Piece, from: Progress, writer: Writer): Promise<number> {
    const path = this.#path(declared);
    const file = await this.#parts.disk.open(path, 'append');
    const landing: Landing = { file, hash: from.hash.copy(), offset: from.offset, isSound: true };
    let isOther = false;
    const pieceHash = piece.contentDigest === undefined ? undefined : startDigests([]);
    try {
      await readBody(
        piece.body,
        async (chunk) => {
          await landChunk(landing, chunk, this.#parts.meter);
          pieceHash?.update(chunk);
        },
        { clock: this.#parts.clock, limits: this.#parts.limits, signal: writer.signal },
      );
      if (pieceHash !== undefined && pieceHash.sha256() !== piece.contentDigest) {
        isOther = true;
        throw new CoPilotError('DIGEST_MISMATCH', 'the piece is not what its Content-Digest says');
      }
      return landing.offset;
    } finally {
      await this.#keep(path, isOther ? from : landing, file);
    }
  }

  /** What lies beyond the bytes that count is cut off, so that a later reading starts right. */
  async #keep(
    path: string,
    progress: Progress & { readonly isSound?: boolean },
    file: DiskFile,
  ): Promise<void> {
    this.#progress.delete(path);
    if (progress.isSound !== false)
      this.#progress.set(path, { offset: progress.offset, hash: progress.hash });
    const oldest = this.#progress.keys().next();
    if (this.#progress.size > MAX_KEPT_PROGRESS && oldest.done !== true) this.#progress.delete(oldest.value);
    try {
      await file.truncate(progress.offset);
    } finally {
      await file.close();
    }
  }

  /** Checks a begun file all of whose bytes are there; one that is not what was promised is gone. */
  async #finishBegun(declared: Promised): Promise<void> {
    const path = this.#path(declared);
    const progress = await this.#resume(declared.ref, { ...declared, isComplete: false, digests: {} });
    try {
      requireDigest(progress.hash, declared.sha256);
    } catch (error) {
      await this.#forget(declared.ref, declared.name);
      throw error;
    }
    const file = await this.#parts.disk.open(path, 'append');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
    await this.#complete(declared, progress.hash.extra());
    this.#progress.delete(path);
  }

  async #catchUp(ref: AttemptRef, stored: StoredFile): Promise<UploadState> {
    const progress = await this.#resume(ref, stored);
    if (progress.offset === stored.size) {
      this.#requireOpen(ref);
      await this.#finishBegun({ ref, name: stored.name, size: stored.size, sha256: stored.sha256 });
    }
    return { offset: progress.offset, length: stored.size };
  }

  /** Removes a begun file, row first: bytes without a row are swept up, a row without bytes would wait for ever. */
  async #forget(ref: AttemptRef, name: string): Promise<void> {
    if (this.#parts.registry.tables.file(ref, name) === undefined) return;
    const freed = await this.#parts.registry.write((tables) => {
      const stored = tables.file(ref, name);
      if (stored === undefined || stored.isComplete) return undefined;
      tables.deleteFile(ref, name);
      return stored.size;
    });
    if (freed === undefined) return;
    const path = this.#parts.places.file(ref, name);
    this.#progress.delete(path);
    await this.#parts.disk.remove(path);
    this.#parts.quota.free(freed);
  }

  #path(declared: Promised): string {
    return this.#parts.places.file(declared.ref, declared.name);
  }
}

async function landChunk(landing: Landing, chunk: Uint8Array, meter: BridgeMeter): Promise<void> {
  landing.isSound = false;
  // The disk works while the digests are computed.
  const written = landing.file.write(chunk, landing.offset);
  landing.hash.update(chunk);
  await written;
  landing.offset += chunk.length;
  landing.isSound = true;
  meter.add('copilot_bridge_received_bytes_total', undefined, chunk.length);
}

function requireDigest(hash: RunningDigests, sha256: string): void {
  if (hash.sha256() !== sha256)
    throw new CoPilotError('DIGEST_MISMATCH', 'the bytes are not what Repr-Digest says; they were removed');
}

function isSame(stored: StoredFile, declared: Pick<Declared, 'size' | 'sha256'>): boolean {
  return stored.size === declared.size && stored.sha256 === declared.sha256;
}
