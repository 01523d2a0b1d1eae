import { base64url } from '../protocol/encoding.ts';
import { decodeEnrolmentCode, type EnrolmentCode } from '../protocol/enrolment.ts';
import { CoPilotError, toCoPilotError } from '../protocol/errors.ts';
import type { Runtime } from '../protocol/runtime/runtime.ts';
import { enrol } from './enrol.ts';
import type { AgentKeys, EnrolOptions, Membership } from './enrol.ts';
import { codeWay, type EnrolmentWay } from './enrolment-way.ts';
import { postJson } from './http-json.ts';
import { backOffMs, sleep } from './loop/wait.ts';
import { loadMembership, saveMembership } from './store/agent-files.ts';

const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;

export interface JoinOptions {
  readonly code?: string;
  /** Another way to enrol than by a code; asked for once it is needed. */
  readonly way?: () => Promise<EnrolmentWay>;
  readonly signal: AbortSignal;
}

/**
 * The identity kept, or one got anew: where there is none, and where a code names a certifier that what is kept does not believe,
 * since the installation had to replace it at once. Undefined where the signal came first. Tries while nobody answers.
 */
export async function join(
  directory: string,
  keys: AgentKeys,
  runtime: Runtime,
  options: JoinOptions,
): Promise<Membership | undefined> {
  const kept = await loadMembership(directory);
  const code =
    options.way === undefined && options.code !== undefined ? decodeEnrolmentCode(options.code) : undefined;
  if (kept !== undefined && (code === undefined || believes(kept, code))) return kept;
  const way = await wayOf(code, options.way);
  for (let tries = 0; !options.signal.aborted; tries++) {
    try {
      const membership = await enrol(way, enrolOptions(keys, runtime, options.signal));
      await saveMembership(directory, membership);
      return membership;
    } catch (caught) {
      if (toCoPilotError(caught).code !== 'UNREACHABLE') throw caught;
      runtime.log.warn({ error: caught }, 'the enrolment did not answer; trying again');
      await sleep(
        runtime.clock,
        backOffMs(runtime.random, tries, FIRST_RETRY_MS, LONGEST_RETRY_MS),
        options.signal,
      );
    }
  }
  return undefined;
}

async function wayOf(code: EnrolmentCode | undefined, way: JoinOptions['way']): Promise<EnrolmentWay> {
  if (way !== undefined) return way();
  if (code !== undefined) return codeWay(code);
  throw new CoPilotError('INVALID_CODE', 'this agent has not enrolled yet: it needs a one-use code');
}

function believes({ certifier, nextCertifier }: Membership, code: EnrolmentCode): boolean {
  return [certifier, nextCertifier].includes(base64url(code.certifier));
}

export function enrolOptions(keys: AgentKeys, runtime: Runtime, signal: AbortSignal): EnrolOptions {
  return { keys, crypto: runtime.crypto, post: postJson, nowMs: () => runtime.clock.wallMs(), signal };
}
