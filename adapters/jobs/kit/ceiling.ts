import { stat } from 'node:fs/promises';
import { CoPilotError } from '../../../protocol/errors.ts';
import { parseJson } from '../../../protocol/parse-json.ts';
import type { Clock, Log } from '../../../protocol/runtime/runtime.ts';
import { watchFile } from '../../../protocol/runtime/watched-file.ts';
import type { NewJob } from '../job-adapter.ts';
import { newJobFault } from '../new-job.ts';

/** What an adapter may hand over at most, whatever its framework says. */
export interface Ceiling {
  /** Jobs of the framework that are with us at a time, whether they run or wait. */
  readonly jobs: number;
  /** Of each job. */
  readonly wallSeconds: number;
  readonly memoryMiB: number;
  readonly diskMiB: number;
  /** Declared output files of each job. */
  readonly outputs: number;
}

/** A ceiling that is read again when its file changes. */
export interface CeilingFile {
  current(): Ceiling;
  /**
   * Why a job is not handed over, for its framework and its owner; undefined where it may be. A job that the contract does not take is
   * refused too.
   */
  fault(job: NewJob): string | undefined;
  stop(): void;
}

/** What counts for a key that the file leaves out, and where there is none. */
export const DEFAULT_CEILING: Ceiling = {
  jobs: 10_000,
  wallSeconds: 604_800,
  memoryMiB: 65_536,
  diskMiB: 1_048_576,
  outputs: 16,
};

const MOST = 1_000_000_000;
const WRITABLE_BY_OTHERS = 0o022;

/**
 * Reads a ceiling from a file of JSON: whole numbers by the names of `Ceiling`. Rejects with `INVALID_CONFIGURATION` where it is not
 * there, says something else, or can be changed by others.
 */
export async function openCeiling(
  path: string | undefined,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Promise<CeilingFile> {
  if (path === undefined)
    return withFault(
      () => DEFAULT_CEILING,
      () => undefined,
    );
  await requireOurs(path);
  const file = await watchFile({ path, parse: parseCeiling, missing: undefined, clock, log });
  if (file.value === undefined) {
    file.stop();
    throw wrong(`${path} is not there`);
  }
  let known = file.value;
  const current = (): Ceiling => (known = file.value ?? known);
  return withFault(current, () => file.stop());
}

function withFault(current: () => Ceiling, stop: () => void): CeilingFile {
  return { current, fault: (job) => newJobFault(job) ?? ceilingFault(current(), job), stop };
}

function ceilingFault(ceiling: Ceiling, { description: { limits, outputs } }: NewJob): string | undefined {
  const wanted = [
    ['wallSeconds', limits.wallSeconds],
    ['memoryMiB', limits.memoryMiB],
    ['diskMiB', limits.diskMiB],
    ['outputs', outputs.length],
  ] as const;
  const above = wanted.find(([key, value]) => value > ceiling[key]);
  return (
    above && `it wants ${above[0]} of ${above[1]}, and this adapter hands over at most ${ceiling[above[0]]}`
  );
}

async function requireOurs(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found !== undefined && (found.mode & WRITABLE_BY_OTHERS) !== 0)
    throw wrong(`${path} can be changed by other users: run chmod go-w on it`);
}

function parseCeiling(text: string): Ceiling {
  const value = parseJson(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw wrong('it is no JSON object');
  const written = Object.entries(value);
  const unknown = written.find(([key]) => !Object.hasOwn(DEFAULT_CEILING, key));
  if (unknown !== undefined)
    throw wrong(`${unknown[0]} is no key of it; known are ${Object.keys(DEFAULT_CEILING).join(', ')}`);
  const bad = written.find(([, entry]) => !isBounded(entry));
  if (bad !== undefined) throw wrong(`${bad[0]} is a whole number from 0 to ${MOST}`);
  return { ...DEFAULT_CEILING, ...value };
}

function isBounded(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MOST;
}

function wrong(why: string): CoPilotError {
  return new CoPilotError('INVALID_CONFIGURATION', `the ceiling of the adapter: ${why}`);
}
