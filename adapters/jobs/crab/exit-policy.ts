import type { Exit } from '../../../protocol/generated/types.ts';

/** Exit codes after which the same job is tried again (WMExceptions, and the worker's own list; docs/crab.md). */
const RECOVERABLE = new Set([
  1, 134, 137, 10034, 10040, 50115, 50513, 60307, 60311, 60403, 8001, 8020, 8021, 8022, 8028,
]);

const REASONS: Readonly<Record<number, string>> = {
  8001: 'cmsRun failed with an exception',
  8020: 'an input file could not be opened',
  8021: 'an input file could not be read',
  8022: 'a fatal error of ROOT',
  8028: 'an input file could not be opened, the fallback neither',
  10034: 'the wanted release is not on the machine',
  10040: 'the configuration for cmsRun could not be made',
  10042: 'the wrapper’s tarball could not be unpacked',
  10043: 'the WMCore libraries could not be loaded',
  11003: 'no software area, or no CVMFS',
  11004: 'the script that sets up CMSSW is missing',
  11005: 'no Python on the machine',
  50113: 'the program was not given the right arguments',
  50115: 'no usable report of the framework',
  50513: 'a script of scram failed',
  50660: 'over its memory',
  50662: 'over its disk',
  50664: 'over its wall time',
  50665: 'idle for too long',
  50666: 'removed by the batch system',
  50669: 'stopped by its wrapper',
  60302: 'an output file is not there',
  80000: 'an error inside the wrapper',
  80001: 'the wrapper gave no code',
};

/** Codes we give where there is no report that could. */
export const CODES = {
  badReport: 50115,
  noMemory: 50660,
  noDisk: 50662,
  noTime: 50664,
  lost: 50666,
  noOutput: 60302,
  noCode: 80001,
} as const;

export interface Bounds {
  readonly memoryMiB: number;
  readonly wallSeconds: number;
}

export interface Failure {
  readonly code: number;
  /** Tries that ended before this one. */
  readonly retry: number;
  /** What this try might use. */
  readonly bounds: Bounds;
  /** What it used at most; undefined where nobody knows. */
  readonly usedMemoryMiB?: number;
  /** Whether the task's life has ended. */
  readonly isExpired: boolean;
}

export type Decision =
  | { readonly kind: 'retry'; readonly delayMs: number; readonly bounds: Bounds }
  | { readonly kind: 'fatal' };

/** Between two tries (`RetryJob`). */
const DELAY_MS = 900_000;
const MORE = 1.3;

/** What a failed try leads to: every code that is not known as recoverable is fatal. */
export function decideRetry(failure: Failure, mostRetries: number): Decision {
  const { code, retry, bounds, usedMemoryMiB = 0, isExpired } = failure;
  // A machine that was lost says nothing about the job.
  const isRecoverable = RECOVERABLE.has(code) || code === CODES.lost;
  const isOver = isExpired || usedMemoryMiB > bounds.memoryMiB;
  if (!isRecoverable || isOver || retry >= mostRetries) return { kind: 'fatal' };
  return {
    kind: 'retry',
    delayMs: DELAY_MS,
    bounds: {
      memoryMiB: code === 50115 ? Math.ceil(bounds.memoryMiB * MORE) : bounds.memoryMiB,
      wallSeconds: code === 60403 ? Math.ceil(bounds.wallSeconds * MORE) : bounds.wallSeconds,
    },
  };
}

/** A word for people beside the code. */
export function reasonOf(code: number): string {
  return REASONS[code] ?? `exit code ${code}`;
}

const SIGNALS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGTERM: 15,
  SIGXCPU: 24,
};

/** The code of a try that left no report, from what the agent saw. */
export function codeOf(exit: Exit | undefined): number {
  switch (exit?.kind) {
    case 'exited':
      return exit.code === 0 ? CODES.badReport : exit.code;
    case 'signalled':
      return 128 + (SIGNALS[exit.signal] ?? 0);
    case 'limit':
      return limitCode(exit.limit);
    case 'failed':
      return CODES.noCode;
    case undefined:
      return CODES.lost;
  }
}

function limitCode(limit: 'wall' | 'cpu' | 'memory' | 'disk' | 'files' | 'output'): number {
  switch (limit) {
    case 'wall':
    case 'cpu':
      return CODES.noTime;
    case 'memory':
      return CODES.noMemory;
    case 'disk':
    case 'files':
    case 'output':
      return CODES.noDisk;
  }
}
