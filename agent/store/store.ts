import type { Attempt, Lease, Manifest, Output, Report } from '../../protocol/generated/types.ts';

/** A lease as it is kept: capabilities are secrets for minutes and are asked for again. */
export type KeptLease = Omit<Lease, 'capabilities'>;

/** How the job ended, as the report says it. */
export type Ending = Pick<Report, 'exit' | 'manifest' | 'usage' | 'logTail'>;

/** One attempt in the journal: it may have begun, or it ended and its report may or may not have arrived. */
export type Entry =
  | { readonly phase: 'leased'; readonly lease: KeptLease }
  | { readonly phase: 'ended'; readonly lease: KeptLease; readonly ending: Ending };

/** The journal as found at start; `corrupt` attempts have files but no readable entry. */
export interface Journal {
  readonly entries: readonly Entry[];
  readonly corrupt: readonly Attempt[];
}

/** What was found of the declared outputs; the job wrote them, so nothing but plain files of bounded size is ever taken. */
export type Collected =
  | { readonly kind: 'collected'; readonly files: Manifest }
  /** A declared output that is neither there nor optional, or is no plain file within its bound. */
  | { readonly kind: 'unusable'; readonly reason: string };

/** The files of one attempt. Nothing in here is trusted: the job writes in `directory` what it likes. */
export interface Workplace {
  /** The job's own directory and the files around it that it cannot reach. */
  readonly directory: string;
  readonly stdoutFile: string;
  readonly stderrFile: string;
  /** Where the job may write a number from 0 to 1. */
  readonly progressFile: string;
  /** Path of a file by its protocol name; folders above it exist afterwards. Rejects with `MALFORMED_MESSAGE` where the name leaves the directory. */
  place(name: string): Promise<string>;
  makeExecutable(name: string): Promise<void>;
  /** Digests the declared outputs; at most `maxBytes` altogether. */
  collect(outputs: readonly Output[], maxBytes: number): Promise<Collected>;
  /** What the job says of itself, 0 to 1; undefined where it says nothing readable. Reads at most 64 bytes. */
  progress(): Promise<number | undefined>;
  /** The end of the job's output, at most `maxLength` characters, control characters removed. */
  logTail(maxLength: number): Promise<string>;
}

/** What an agent keeps over restarts: the journal of attempts and their files. */
export interface Store {
  load(): Promise<Journal>;
  /** Durable once resolved; replaces the attempt's earlier entry. */
  save(entry: Entry): Promise<void>;
  /** Removes the attempt's files, then its entry. Repeating it is harmless. */
  remove(attempt: Attempt): Promise<void>;
  /** The attempt's workplace, empty. */
  prepare(attempt: Attempt): Promise<Workplace>;
  /** The attempt's workplace as it is, for an attempt that ended before a restart. */
  workplace(attempt: Attempt): Workplace;
}

/** Names an attempt where a map needs a key. */
export function attemptKey(attempt: Attempt): string {
  return `${attempt.job}.${attempt.attempt}`;
}
