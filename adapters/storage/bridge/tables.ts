import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite';
import type { AttemptRef } from '../storage-adapter.ts';
import { foldedName } from '../file-names.ts';
import type { ExtraDigests } from './digests.ts';

export type AttemptState = 'open' | 'closed' | 'registered' | 'discarded';

/** A file as the bridge knows it: whole and checked, or begun with its size and digest promised. */
export interface StoredFile {
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
  readonly isComplete: boolean;
  /** Those computed so far. */
  readonly digests: ExtraDigests;
}

export interface StoredInput {
  readonly size: number;
  readonly digests: ExtraDigests;
}

/** Each entry brings the registry from the version of its index to the next; released ones never change. */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE attempt (
    job TEXT NOT NULL, attempt INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('closed', 'registered', 'discarded')),
    PRIMARY KEY (job, attempt)
  ) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX one_result_per_job ON attempt (job) WHERE state = 'registered';
  CREATE TABLE file (
    job TEXT NOT NULL, attempt INTEGER NOT NULL, name TEXT NOT NULL, folded TEXT NOT NULL,
    size INTEGER NOT NULL, sha256 TEXT NOT NULL, complete INTEGER NOT NULL,
    PRIMARY KEY (job, attempt, name), UNIQUE (job, attempt, folded)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE input (sha256 TEXT PRIMARY KEY, size INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  `,
  `
  ALTER TABLE file ADD COLUMN digests TEXT NOT NULL DEFAULT '{}';
  ALTER TABLE file ADD COLUMN touched_ms INTEGER NOT NULL DEFAULT 0;
  UPDATE file SET touched_ms = unixepoch() * 1000;
  ALTER TABLE input ADD COLUMN digests TEXT NOT NULL DEFAULT '{}';
  ALTER TABLE attempt ADD COLUMN settled_ms INTEGER NOT NULL DEFAULT 0;
  UPDATE attempt SET settled_ms = unixepoch() * 1000;
  `,
];

const STATEMENTS = {
  state: 'SELECT state FROM attempt WHERE job = ? AND attempt = ?',
  result: "SELECT attempt FROM attempt WHERE job = ? AND state = 'registered'",
  setState:
    'INSERT INTO attempt (job, attempt, state, settled_ms) VALUES (?, ?, ?, ?) ON CONFLICT (job, attempt) DO UPDATE SET state = excluded.state, settled_ms = excluded.settled_ms',
  files: 'SELECT name, size, sha256, complete, digests FROM file WHERE job = ? AND attempt = ?',
  file: 'SELECT name, size, sha256, complete, digests FROM file WHERE job = ? AND attempt = ? AND name = ?',
  putFile:
    'INSERT INTO file (job, attempt, name, folded, size, sha256, complete, digests, touched_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (job, attempt, name) DO UPDATE SET size = excluded.size, sha256 = excluded.sha256, complete = excluded.complete, digests = excluded.digests, touched_ms = excluded.touched_ms',
  deleteFile: 'DELETE FROM file WHERE job = ? AND attempt = ? AND name = ?',
  otherAttempts: 'SELECT DISTINCT attempt FROM file WHERE job = ? AND attempt <> ?',
  setFileDigests: 'UPDATE file SET digests = ? WHERE job = ? AND attempt = ? AND name = ?',
  touchedAttempts:
    'SELECT job, attempt, max(touched_ms) AS touched_ms FROM file WHERE (job, attempt) > (?, ?) GROUP BY job, attempt ORDER BY job, attempt LIMIT ?',
  settledAttempts:
    'SELECT job, attempt, state, settled_ms FROM attempt WHERE (job, attempt) > (?, ?) ORDER BY job, attempt LIMIT ?',
  deleteAttempt: 'DELETE FROM attempt WHERE job = ? AND attempt = ?',
  input: 'SELECT size, digests FROM input WHERE sha256 = ?',
  putInput: 'INSERT INTO input (sha256, size, digests) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
  setInputDigests: 'UPDATE input SET digests = ? WHERE sha256 = ?',
  usedBytes:
    'SELECT (SELECT coalesce(sum(size), 0) FROM file) + (SELECT coalesce(sum(size), 0) FROM input) AS bytes',
} as const;

type Name = keyof typeof STATEMENTS;
type Row = Readonly<Record<string, SQLOutputValue>>;

/** The bridge's rows. Reads see what was written before them in the same group. */
export class Tables {
  readonly #statements: Readonly<Record<Name, StatementSync>>;

  constructor(database: DatabaseSync) {
    const prepare = (name: Name): StatementSync => database.prepare(STATEMENTS[name]);
    this.#statements = {
      state: prepare('state'),
      result: prepare('result'),
      setState: prepare('setState'),
      files: prepare('files'),
      file: prepare('file'),
      putFile: prepare('putFile'),
      deleteFile: prepare('deleteFile'),
      otherAttempts: prepare('otherAttempts'),
      touchedAttempts: prepare('touchedAttempts'),
      settledAttempts: prepare('settledAttempts'),
      deleteAttempt: prepare('deleteAttempt'),
      input: prepare('input'),
      setFileDigests: prepare('setFileDigests'),
      putInput: prepare('putInput'),
      setInputDigests: prepare('setInputDigests'),
      usedBytes: prepare('usedBytes'),
    };
  }

  /** Where an attempt stands: once another attempt of its job is registered, it is as good as discarded. */
  state(ref: AttemptRef): AttemptState {
    const result = this.result(ref.job);
    if (result !== undefined) return result === ref.attempt ? 'registered' : 'discarded';
    const state = this.#statements.state.get(ref.job, ref.attempt)?.state;
    return state === 'closed' || state === 'discarded' ? state : 'open';
  }

  /** The attempt registered as a job's result. */
  result(job: string): number | undefined {
    const attempt = this.#statements.result.get(job)?.attempt;
    return typeof attempt === 'number' ? attempt : undefined;
  }

  /** `settledMs` is wall time: retention alone looks at it. */
  setState(ref: AttemptRef, state: Exclude<AttemptState, 'open'>, settledMs: number): void {
    this.#statements.setState.run(ref.job, ref.attempt, state, Math.floor(settledMs));
  }

  files(ref: AttemptRef): readonly StoredFile[] {
    return this.#statements.files.all(ref.job, ref.attempt).map(storedFile);
  }

  file(ref: AttemptRef, name: string): StoredFile | undefined {
    const row = this.#statements.file.get(ref.job, ref.attempt, name);
    return row === undefined ? undefined : storedFile(row);
  }

  /** `touchedMs` is wall time: retention alone looks at it. */
  putFile(ref: AttemptRef, file: StoredFile, touchedMs: number): void {
    const { name, size, sha256 } = file;
    this.#statements.putFile.run(
      ref.job,
      ref.attempt,
      name,
      foldedName(name),
      size,
      sha256,
      Number(file.isComplete),
      JSON.stringify(file.digests),
      Math.floor(touchedMs),
    );
  }

  deleteFile(ref: AttemptRef, name: string): void {
    this.#statements.deleteFile.run(ref.job, ref.attempt, name);
  }

  setFileDigests(ref: AttemptRef, name: string, digests: ExtraDigests): void {
    this.#statements.setFileDigests.run(JSON.stringify(digests), ref.job, ref.attempt, name);
  }

  /** Other attempts of the job that have files. */
  otherAttempts(ref: AttemptRef): readonly AttemptRef[] {
    const rows = this.#statements.otherAttempts.all(ref.job, ref.attempt);
    return rows.map((row) => ({ job: ref.job, attempt: Number(row.attempt) }));
  }

  /** Attempts that have files, behind one of them in their order, and when a file of theirs was last begun or finished. */
  touchedAttempts(
    after: AttemptRef,
    limit: number,
  ): readonly { readonly ref: AttemptRef; readonly touchedMs: number }[] {
    return this.#statements.touchedAttempts
      .all(after.job, after.attempt, limit)
      .map((row) => ({ ref: refOf(row), touchedMs: Number(row.touched_ms) }));
  }

  /** Attempts that are no longer open, behind one of them in their order. */
  settledAttempts(
    after: AttemptRef,
    limit: number,
  ): readonly { readonly ref: AttemptRef; readonly state: string; readonly settledMs: number }[] {
    return this.#statements.settledAttempts.all(after.job, after.attempt, limit).map((row) => ({
      ref: refOf(row),
      state: String(row.state),
      settledMs: Number(row.settled_ms),
    }));
  }

  deleteAttempt(ref: AttemptRef): void {
    this.#statements.deleteAttempt.run(ref.job, ref.attempt);
  }

  /** Undefined where there is none. */
  input(sha256: string): StoredInput | undefined {
    const row = this.#statements.input.get(sha256);
    return row === undefined ? undefined : { size: Number(row.size), digests: storedDigests(row) };
  }

  putInput(sha256: string, input: StoredInput): void {
    this.#statements.putInput.run(sha256, input.size, JSON.stringify(input.digests));
  }

  setInputDigests(sha256: string, digests: ExtraDigests): void {
    this.#statements.setInputDigests.run(JSON.stringify(digests), sha256);
  }

  /** Bytes of all files, those begun counted whole. */
  usedBytes(): number {
    return Number(this.#statements.usedBytes.get()?.bytes ?? 0);
  }
}

function refOf(row: Row): AttemptRef {
  return { job: String(row.job), attempt: Number(row.attempt) };
}

function storedFile(row: Row): StoredFile {
  return {
    name: String(row.name),
    size: Number(row.size),
    sha256: String(row.sha256),
    isComplete: row.complete === 1,
    digests: storedDigests(row),
  };
}

/** Written by this file alone. */
function storedDigests(row: Row): ExtraDigests {
  return JSON.parse(String(row.digests)) as ExtraDigests;
}
