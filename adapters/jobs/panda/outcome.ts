import type { Exit } from '../../../protocol/generated/types.ts';
import { PILOT_ERRORS, type PilotError } from './pilot-errors.ts';

/** How an attempt of ours ended, in the words that PanDA's tables have. */
export interface PandaOutcome {
  readonly pilotErrorCode: number;
  readonly pilotErrorDiag: string;
  readonly transExitCode: number;
}

/** What is known of the last attempt of a job that failed. */
export interface LastAttempt {
  readonly reason: string;
  readonly exit?: Exit;
}

/** Characters of a diagnosis that PanDA keeps. */
const MAX_DIAG = 500;
const SIGNALS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGXCPU: 24,
  SIGXFSZ: 25,
};

/** The limits of a job, by the error that each is to PanDA. */
const LIMITS: Readonly<Record<Extract<Exit, { kind: 'limit' }>['limit'], PilotError>> = {
  wall: PILOT_ERRORS.outOfTime,
  cpu: PILOT_ERRORS.outOfTime,
  memory: PILOT_ERRORS.outOfMemory,
  disk: PILOT_ERRORS.noLocalSpace,
  files: PILOT_ERRORS.noLocalSpace,
  output: PILOT_ERRORS.noLocalSpace,
};

/** What PanDA is told of a job that has no result; docs/panda.md has the same table. */
export function outcomeOf(
  outcome: 'failed' | 'cancelled',
  reason: string,
  last: LastAttempt | undefined,
): PandaOutcome {
  if (outcome === 'cancelled') return outcomeFor(PILOT_ERRORS.killedByServer, '');
  const exit = last?.exit;
  const why = last === undefined || last.reason === '' ? reason : last.reason;
  if (exit === undefined) return outcomeFor(PILOT_ERRORS.agentLost, why);
  switch (exit.kind) {
    case 'exited':
      // The payload ended well, and its files did not come through.
      return exit.code === 0
        ? outcomeFor(PILOT_ERRORS.outputChecksum, why)
        : outcomeFor(PILOT_ERRORS.payloadFailed, why, exit.code);
    case 'signalled': {
      const error = exit.signal === 'SIGTERM' ? PILOT_ERRORS.terminated : PILOT_ERRORS.payloadFailed;
      return outcomeFor(error, `ended by ${exit.signal}`, 128 + (SIGNALS[exit.signal] ?? 0));
    }
    case 'limit':
      return outcomeFor(LIMITS[exit.limit], `over its limit of ${exit.limit}`);
    case 'failed':
      return outcomeFor(errorOfFailure(exit.reason), exit.reason);
  }
}

/** Why an agent could not run a job, or not move its files, by the words that agents use. */
function errorOfFailure(reason: string): PilotError {
  if (/\binputs?\b|\bdownload/iu.test(reason)) return PILOT_ERRORS.stageInFailed;
  if (/\bmissing\b|\bnot there\b|\bleft no\b/iu.test(reason)) return PILOT_ERRORS.missingOutput;
  if (/\boutputs?\b|\bupload/iu.test(reason)) return PILOT_ERRORS.stageOutFailed;
  return PILOT_ERRORS.payloadFailed;
}

/** An error with what is known besides; of the text, printable characters alone, as many as PanDA keeps. */
export function outcomeFor(error: PilotError, why: string, transExitCode = 0): PandaOutcome {
  const text = why === '' ? error.text : `${error.text}: ${why}`;
  return {
    pilotErrorCode: error.code,
    pilotErrorDiag: text.replaceAll(/[^ -~]+/gu, '?').slice(0, MAX_DIAG),
    transExitCode,
  };
}
