import { base64url } from '../protocol/encoding.ts';
import { decodeEnrolmentCode, type EnrolmentCode } from '../protocol/enrolment.ts';
import { CoPilotError, toCoPilotError } from '../protocol/errors.ts';
import type { Runtime } from '../protocol/runtime/runtime.ts';
import { enrol } from './enrol.ts';
import type { AgentKeys, EnrolOptions, Membership } from './enrol.ts';
import { postJson } from './http-json.ts';
import { backOffMs, sleep } from './loop/wait.ts';
import { loadMembership, saveMembership } from './store/agent-files.ts';

const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;

/**
 * The identity kept, or one got with the code: where there is none, and where the code names a certifier that what is kept does not
 * believe, since the installation had to replace it at once. Undefined where the signal came first. Tries while nobody answers.
 */
export async function join(
  directory: string,
  keys: AgentKeys,
  runtime: Runtime,
  options: { readonly code?: string; readonly signal: AbortSignal },
): Promise<Membership | undefined> {
  const kept = await loadMembership(directory);
  if (options.code === undefined) {
    if (kept !== undefined) return kept;
    throw new CoPilotError('INVALID_CODE', 'this agent has not enrolled yet: it needs a one-use code');
  }
  const code = decodeEnrolmentCode(options.code);
  if (kept !== undefined && believes(kept, code)) return kept;
  for (let tries = 0; !options.signal.aborted; tries++) {
    try {
      const membership = await enrol(code, enrolOptions(keys, runtime, options.signal));
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

function believes({ certifier, nextCertifier }: Membership, code: EnrolmentCode): boolean {
  return [certifier, nextCertifier].includes(base64url(code.certifier));
}

export function enrolOptions(keys: AgentKeys, runtime: Runtime, signal: AbortSignal): EnrolOptions {
  return { keys, crypto: runtime.crypto, post: postJson, nowMs: () => runtime.clock.wallMs(), signal };
}
