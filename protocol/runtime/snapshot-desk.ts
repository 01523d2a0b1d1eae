import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CoPilotError, toCoPilotError } from '../errors.ts';
import type { Log } from './runtime.ts';
import type { SnapshotProgress } from './sqlite-snapshot.ts';

/** Where a copy that somebody asked for stands. */
export type SnapshotState =
  | { readonly state: 'none' }
  | ({ readonly state: 'running' } & SnapshotProgress)
  /** The files, by name, in a directory of the program's own that only its user may enter. */
  | { readonly state: 'done'; readonly directory: string; readonly files: readonly string[] }
  | { readonly state: 'failed'; readonly code: string; readonly message: string };

export type TakeSnapshot = (path: string, onProgress: (progress: SnapshotProgress) => void) => Promise<void>;

export interface SnapshotDeskOptions {
  /** The program's own directory. */
  readonly directory: string;
  /** What is copied, by the name of its file, in this order. */
  readonly files: Readonly<Record<string, TakeSnapshot>>;
  readonly log: Log;
}

/** Copies of a program's databases while it runs, one at a time; the place of one is cleared for the next. */
export interface SnapshotDesk {
  /** Throws `CONFLICT` where one is being made. */
  begin(): void;
  state(): SnapshotState;
  /** Removes a copy that is done with. */
  clear(): Promise<void>;
}

const PLACE = 'snapshot';

export function createSnapshotDesk({ directory, files, log }: SnapshotDeskOptions): SnapshotDesk {
  const place = join(directory, PLACE);
  let state: SnapshotState = { state: 'none' };

  async function make(): Promise<void> {
    await rm(place, { recursive: true, force: true });
    await mkdir(place, { mode: 0o700 });
    for (const [name, take] of Object.entries(files))
      await take(join(place, name), (progress) => {
        state = { state: 'running', ...progress };
      });
    state = { state: 'done', directory: place, files: Object.keys(files) };
  }

  function requireIdle(): void {
    if (state.state === 'running') throw new CoPilotError('CONFLICT', 'a copy is being made already');
  }

  return {
    begin() {
      requireIdle();
      state = { state: 'running', donePages: 0, totalPages: 0 };
      make().catch((caught: unknown) => {
        const { code, message } = toCoPilotError(caught);
        log.error({ err: caught }, 'a copy could not be made');
        state = { state: 'failed', code, message };
      });
    },
    state: () => state,
    async clear() {
      requireIdle();
      state = { state: 'none' };
      await rm(place, { recursive: true, force: true });
    },
  };
}
