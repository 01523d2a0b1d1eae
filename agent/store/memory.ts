import { CoPilotError } from '../../protocol/errors.ts';
import type { Attempt, Output } from '../../protocol/generated/types.ts';
import { outputNameParts } from '../executors/output-name.ts';
import { decodeEntry, encodeEntry } from './entry-codec.ts';
import { attemptKey } from './store.ts';
import type { Collected, Store, Workplace } from './store.ts';

/** A declared output as the simulated job left it. */
export interface MemoryFile {
  readonly size: number;
  readonly sha256: string;
}

export interface MemoryStoreOptions {
  /** What a job that ended well left of its declared outputs; undefined: it is not there. */
  readonly produce: (attempt: Attempt, output: Output) => MemoryFile | undefined;
  /** What the job says of itself. */
  readonly progress?: (attempt: Attempt) => number | undefined;
}

/**
 * The store port without a disk: what was saved outlives the agent as long as this object does. For the simulator and tests;
 * paths are names only.
 */
export interface MemoryStore extends Store {
  /** The next `save` rejects as a full disk does, and keeps what was there. */
  failNextSave(): void;
  /** The entry of this attempt can no longer be read. */
  corrupt(attempt: Attempt): void;
  /** Attempts with files. */
  readonly places: ReadonlySet<string>;
  /** Entries as they would be read. */
  readonly saved: ReadonlyMap<string, string>;
}

const CORRUPT = '{';

export function createMemoryStore(options: MemoryStoreOptions): MemoryStore {
  const saved = new Map<string, string>();
  const places = new Set<string>();
  let failures = 0;
  const workplace = (attempt: Attempt): Workplace => createWorkplace(options, attempt);
  return {
    saved,
    places,
    async load() {
      return readAll(saved);
    },
    async save(entry) {
      if (failures > 0) {
        failures -= 1;
        throw new CoPilotError('INTERNAL', 'no space is left on the device');
      }
      saved.set(attemptKey(entry.lease), encodeEntry(entry));
      places.add(attemptKey(entry.lease));
    },
    async remove(attempt) {
      saved.delete(attemptKey(attempt));
      places.delete(attemptKey(attempt));
    },
    async prepare(attempt) {
      places.add(attemptKey(attempt));
      return workplace(attempt);
    },
    workplace,
    failNextSave() {
      failures += 1;
    },
    corrupt(attempt) {
      saved.set(attemptKey(attempt), CORRUPT);
    },
  };
}

function readAll(saved: ReadonlyMap<string, string>): Awaited<ReturnType<Store['load']>> {
  const entries = [];
  const corrupt = [];
  for (const [key, text] of saved) {
    try {
      entries.push(decodeEntry(text));
    } catch {
      const [job = '', attempt = ''] = key.split('.');
      corrupt.push({ job, attempt: Number(attempt) });
    }
  }
  return { entries, corrupt };
}

function createWorkplace(options: MemoryStoreOptions, attempt: Attempt): Workplace {
  const root = `/memory/${attemptKey(attempt)}`;
  return {
    directory: `${root}/work`,
    stdoutFile: `${root}/stdout`,
    stderrFile: `${root}/stderr`,
    progressFile: `${root}/work/.co-pilot-progress`,
    async place(name) {
      if (outputNameParts(name) === undefined)
        throw new CoPilotError('MALFORMED_MESSAGE', 'the name leaves the directory of the job');
      return `${root}/work/${name}`;
    },
    makeExecutable: () => Promise.resolve(),
    collect: (outputs, maxBytes) => Promise.resolve(collect(options, attempt, outputs, maxBytes)),
    progress: () => Promise.resolve(options.progress?.(attempt)),
    logTail: () => Promise.resolve(''),
  };
}

function collect(
  options: MemoryStoreOptions,
  attempt: Attempt,
  outputs: readonly Output[],
  maxBytes: number,
): Collected {
  const files = [];
  let bytes = 0;
  for (const output of outputs) {
    const file = options.produce(attempt, output);
    if (file === undefined && output.optional !== true)
      return { kind: 'unusable', reason: `the declared output ${output.name} is missing` };
    if (file === undefined) continue;
    bytes += file.size;
    if (bytes > maxBytes || file.size > (output.maxBytes ?? maxBytes))
      return { kind: 'unusable', reason: `the output ${output.name} is over its bound` };
    files.push({ name: output.name, size: file.size, sha256: file.sha256 });
  }
  return { kind: 'collected', files };
}
