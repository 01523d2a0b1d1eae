import { hex } from '../../protocol/encoding.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import type { ErrorCode } from '../../protocol/errors.ts';
import type { Capability, File, Grant } from '../../protocol/generated/types.ts';
import type { Clock, Crypto } from '../../protocol/runtime/runtime.ts';
import { capabilityEnd, requireWithin } from './ceiling.ts';
import type { Ceiling } from './ceiling.ts';
import { collidingName } from './file-names.ts';
import { compareManifest } from './manifest.ts';
import type { AttemptRef, StorageAdapter, Verified } from './storage-adapter.ts';

/** A file's bytes, or only what they come to where nobody will read them. */
export type Content = Uint8Array | { readonly size: number; readonly sha256: string };

export type StorageOperation = 'mint' | 'verify' | 'finalise' | 'discard' | 'put';

export interface MemoryStorageOptions {
  readonly clock: Clock;
  readonly crypto: Crypto;
  readonly ceiling: Ceiling;
  /** How long each call takes; nothing where it is left out. */
  readonly delayMs?: () => number;
}

/** Storage in memory, with the faults a test or the simulator asks for. State outlives `crash`, as a disk would. */
export interface MemoryStorage extends StorageAdapter {
  /** What an agent does with a `put` capability; refuses with the bridge's codes. The token alone is the right: no key is checked. */
  put(attempt: AttemptRef, token: string, name: string, content: Content): Promise<void>;
  /** The attempt registered as a job's result, and its files. */
  registered(job: string): { readonly attempt: number; readonly files: readonly File[] } | undefined;
  /** What an attempt has uploaded so far. */
  files(attempt: AttemptRef): readonly File[];
  /** The next call of that operation fails, before it does anything or after it has done it (its answer is lost). */
  failNext(operation: StorageOperation, when: 'before' | 'after', code?: ErrorCode): void;
  /** Every call, those under way included, rejects with `UNREACHABLE` until `restart`. */
  crash(): void;
  restart(): void;
}

type State = 'open' | 'closed' | 'registered' | 'discarded';

interface Attempt {
  state: State;
  readonly files: Map<string, File>;
}

interface Right {
  readonly place: string;
  readonly name: string;
  readonly maxBytes: number;
  readonly totalBytes: number;
  readonly sha256: string | undefined;
  readonly endsSeconds: number;
}

interface Fault {
  readonly operation: StorageOperation;
  readonly when: 'before' | 'after';
  readonly code: ErrorCode;
}

const BASE_URL = 'http://storage.invalid/v1';

export function createMemoryStorage(options: MemoryStorageOptions): MemoryStorage {
  return new MemoryStorageTwin(options);
}

class MemoryStorageTwin implements MemoryStorage {
  readonly #options: MemoryStorageOptions;
  readonly #jobs = new Map<string, Map<number, Attempt>>();
  readonly #results = new Map<string, number>();
  readonly #rights = new Map<string, Right>();
  #faults: readonly Fault[] = [];
  #usedBytes = 0;
  #serial = 0;
  #life = 0;
  #isDown = false;

  constructor(options: MemoryStorageOptions) {
    this.#options = options;
  }

  mint(grant: Grant): Promise<readonly Capability[]> {
    return this.#call('mint', () => {
      requireWithin(grant, this.#options.ceiling);
      if (this.#attempt(grant).state !== 'open') throw notLive();
      this.#forgetExpired();
      const gets = grant.get.map((file) => this.#capability('get', file.name, `inputs/${file.sha256}`));
      return [...gets, ...grant.put.map((file) => this.#putCapability(grant, file))];
    });
  }

  put(attempt: AttemptRef, token: string, name: string, content: Content): Promise<void> {
    return this.#call('put', () => {
      const right = this.#requireRight(token, attempt, name);
      const file = describe(this.#options.crypto, name, content);
      const { state, files } = this.#attempt(attempt);
      if (state !== 'open') throw new CoPilotError('ATTEMPT_CLOSED', 'the attempt takes no more files');
      const stored = files.get(name);
      if (stored !== undefined && !isSame(stored, file))
        throw new CoPilotError('FILE_EXISTS', 'the file is there with other bytes');
      if (stored !== undefined) return;
      this.#requireRoom(right, files, file);
      files.set(name, file);
      this.#usedBytes += file.size;
    });
  }

  verify(ref: AttemptRef, manifest: readonly File[]): Promise<Verified> {
    return this.#call('verify', () => {
      const attempt = this.#attempt(ref);
      if (attempt.state === 'discarded') throw notLive();
      if (attempt.state === 'open') attempt.state = 'closed';
      return compareManifest([...attempt.files.values()], manifest);
    });
  }

  finalise(ref: AttemptRef, manifest: readonly File[]): Promise<void> {
    return this.#call('finalise', () => {
      const attempt = this.#attempt(ref);
      const winner = this.#results.get(ref.job);
      if (attempt.state === 'discarded' || (winner !== undefined && winner !== ref.attempt)) throw notLive();
      const stored = [...attempt.files.values()];
      const isOther = attempt.state === 'registered' && manifest.length !== stored.length;
      if (isOther || compareManifest(stored, manifest).kind === 'mismatch')
        throw new CoPilotError('DIGEST_MISMATCH', 'the manifest is not what is stored');
      this.#register(ref, attempt, manifest);
    });
  }

  discard(ref: AttemptRef): Promise<void> {
    return this.#call('discard', () => {
      const attempt = this.#attempt(ref);
      if (attempt.state === 'registered') throw notLive();
      this.#drop(attempt);
    });
  }

  registered(job: string): { attempt: number; files: readonly File[] } | undefined {
    const attempt = this.#results.get(job);
    return attempt === undefined ? undefined : { attempt, files: this.files({ job, attempt }) };
  }

  files(ref: AttemptRef): readonly File[] {
    return [...(this.#jobs.get(ref.job)?.get(ref.attempt)?.files.values() ?? [])];
  }

  failNext(operation: StorageOperation, when: 'before' | 'after', code: ErrorCode = 'UNREACHABLE'): void {
    this.#faults = [...this.#faults, { operation, when, code }];
  }

  crash(): void {
    this.#isDown = true;
    this.#life++;
  }

  restart(): void {
    this.#isDown = false;
  }

  async #call<T>(operation: StorageOperation, act: () => T): Promise<T> {
    const life = this.#life;
    await this.#delay();
    if (this.#isDown || life !== this.#life)
      throw new CoPilotError('UNREACHABLE', 'the storage adapter is down');
    this.#failIfAsked(operation, 'before');
    const result = act();
    this.#failIfAsked(operation, 'after');
    return result;
  }

  #delay(): Promise<void> {
    const delayMs = this.#options.delayMs?.() ?? 0;
    if (delayMs <= 0) return Promise.resolve();
    return new Promise((resolve) => this.#options.clock.schedule(delayMs, resolve));
  }

  #failIfAsked(operation: StorageOperation, when: Fault['when']): void {
    const fault = this.#faults.find((each) => each.operation === operation && each.when === when);
    if (fault === undefined) return;
    this.#faults = this.#faults.filter((each) => each !== fault);
    throw new CoPilotError(fault.code, `${operation} failed as asked, ${when} its effect`);
  }

  #attempt(ref: AttemptRef): Attempt {
    const attempts = this.#jobs.get(ref.job) ?? new Map<number, Attempt>();
    this.#jobs.set(ref.job, attempts);
    const known = attempts.get(ref.attempt);
    if (known !== undefined) return known;
    const attempt: Attempt = { state: this.#results.has(ref.job) ? 'discarded' : 'open', files: new Map() };
    attempts.set(ref.attempt, attempt);
    return attempt;
  }

  #putCapability(grant: Grant, file: Grant['put'][number]): Capability {
    const place = placeOf(grant);
    const capability = this.#capability('put', file.name, `attempts/${place}/${file.name}`);
    this.#rights.set(capability.token, {
      place,
      name: file.name,
      maxBytes: file.maxBytes,
      totalBytes: grant.totalBytes,
      sha256: file.sha256,
      endsSeconds: capabilityEnd(grant, this.#options.ceiling, this.#options.clock.wallMs()),
    });
    return capability;
  }

  #capability(verb: 'get' | 'put', name: string, path: string): Capability {
    return { verb, name, url: `${BASE_URL}/${path}`, token: `memory.${verb}.${++this.#serial}` };
  }

  /** Rights are bounded by what is minted within one life of a capability. */
  #forgetExpired(): void {
    const nowSeconds = this.#options.clock.wallMs() / 1000;
    for (const [token, right] of this.#rights) {
      if (right.endsSeconds > nowSeconds) return;
      this.#rights.delete(token);
    }
  }

  #requireRight(token: string, ref: AttemptRef, name: string): Right {
    const right = this.#rights.get(token);
    if (right === undefined) throw new CoPilotError('CAPABILITY_INVALID', 'no such capability');
    if (right.endsSeconds <= this.#options.clock.wallMs() / 1000)
      throw new CoPilotError('CAPABILITY_EXPIRED', 'the capability has ended');
    if (right.place !== placeOf(ref))
      throw new CoPilotError('CAPABILITY_WRONG_ATTEMPT', 'the capability is for another attempt');
    if (right.name !== name)
      throw new CoPilotError('CAPABILITY_WRONG_FILE', 'the capability is for another file');
    return right;
  }

  #requireRoom(right: Right, files: ReadonlyMap<string, File>, file: File): void {
    const { ceiling } = this.#options;
    if (right.sha256 !== undefined && right.sha256 !== file.sha256)
      throw new CoPilotError('DIGEST_MISMATCH', 'the capability is for other bytes');
    if (collidingName(file.name, files.keys()) !== undefined)
      throw new CoPilotError('NAME_COLLISION', 'another file of the attempt has nearly that name');
    const attemptBytes = [...files.values()].reduce((sum, each) => sum + each.size, file.size);
    if (file.size > Math.min(right.maxBytes, ceiling.maxFileBytes))
      throw new CoPilotError('QUOTA_EXCEEDED', 'the file is too large');
    if (attemptBytes > Math.min(right.totalBytes, ceiling.maxAttemptBytes))
      throw new CoPilotError('QUOTA_EXCEEDED', 'the attempt has no room for the file');
    if (this.#usedBytes + file.size > ceiling.maxTotalBytes)
      throw new CoPilotError('STORAGE_FULL', 'the storage has no room for the file');
  }

  /** Files beside the manifest go, and so do the job's other attempts: none of them can become its result any more. */
  #register(ref: AttemptRef, attempt: Attempt, manifest: readonly File[]): void {
    const named = new Set(manifest.map((file) => file.name));
    for (const [name, file] of attempt.files) {
      if (named.has(name)) continue;
      attempt.files.delete(name);
      this.#usedBytes -= file.size;
    }
    attempt.state = 'registered';
    this.#results.set(ref.job, ref.attempt);
    for (const other of this.#jobs.get(ref.job)?.values() ?? []) if (other !== attempt) this.#drop(other);
  }

  #drop(attempt: Attempt): void {
    for (const file of attempt.files.values()) this.#usedBytes -= file.size;
    attempt.files.clear();
    attempt.state = 'discarded';
  }
}

function placeOf(ref: AttemptRef): string {
  return `${ref.job}/${ref.attempt}`;
}

function describe(crypto: Crypto, name: string, content: Content): File {
  if (!(content instanceof Uint8Array)) return { name, size: content.size, sha256: content.sha256 };
  return { name, size: content.length, sha256: hex(crypto.sha256(content)) };
}

function isSame(one: File, other: File): boolean {
  return one.size === other.size && one.sha256 === other.sha256;
}

function notLive(): CoPilotError {
  return new CoPilotError('ATTEMPT_NOT_LIVE', 'the attempt was finalised or discarded');
}
