import type { CoPilotError } from '../protocol/errors.ts';
import type { AgentEnd } from './loop/agent.ts';

/** What `runAgent` resolves with; docs/operator.md explains each to people. */
export const AGENT_EXIT = {
  drained: 0,
  /** A fault of this host, such as a directory that cannot be written. */
  failed: 70,
  /** The site's own checks say that this host is unfit for jobs now. */
  unfit: 71,
  enrolmentRefused: 69,
  /** The directory is another agent's, or a newer start of this one took over. */
  inUse: 75,
  revoked: 77,
  noIsolation: 78,
} as const;

/** An exit code and why, for people. */
export interface Ended {
  readonly code: number;
  readonly reason: string;
}

export function endedBy(end: AgentEnd): Ended {
  if (end.kind === 'drained')
    return end.unfit === undefined
      ? { code: AGENT_EXIT.drained, reason: 'drained' }
      : { code: AGENT_EXIT.unfit, reason: `drained: ${end.unfit}` };
  const code =
    end.code === 'SUPERSEDED'
      ? AGENT_EXIT.inUse
      : end.code === 'ENROLMENT_REFUSED'
        ? AGENT_EXIT.enrolmentRefused
        : AGENT_EXIT.revoked;
  return { code, reason: `${end.code}: ${end.message}` };
}

export function exitCodeOf({ code }: CoPilotError): number {
  switch (code) {
    case 'ENROLMENT_REFUSED':
    case 'INVALID_CODE':
    case 'INVALID_CONTEXT':
    case 'NOT_AUTHORIZED':
    case 'TOO_MANY_AGENTS':
      return AGENT_EXIT.enrolmentRefused;
    case 'REVOKED':
      return AGENT_EXIT.revoked;
    case 'AGENT_IN_USE':
      return AGENT_EXIT.inUse;
    case 'INVALID_CONFIGURATION':
      return AGENT_EXIT.noIsolation;
    default:
      return AGENT_EXIT.failed;
  }
}
