import type { Admission } from '../protocol/bindings/amqp-admission.ts';
import { notLockedDown, probeAmqp, type ProbeResult } from '../protocol/bindings/amqp-probe.ts';
import { toCoPilotError } from '../protocol/errors.ts';
import type { PrivateKey, Runtime } from '../protocol/runtime/runtime.ts';
import { throwAwayAgent } from './enrolment/throw-away-agent.ts';

export interface BusCheckOptions {
  readonly runtime: Runtime;
  readonly installation: string;
  readonly identityKey: PrivateKey;
  readonly url: string;
  readonly admission: Admission;
}

/**
 * Two agents that exist for this alone try what agents must not do. Rejects with `INVALID_CONFIGURATION` where they cannot even
 * log in.
 */
export async function checkBus(options: BusCheckOptions): Promise<readonly ProbeResult[]> {
  const { runtime, installation, identityKey, url, admission } = options;
  const make = () => throwAwayAgent(runtime, installation, identityKey);
  const agents = [make(), make()] as const;
  for (const { user } of agents) await admission.admit(user);
  try {
    return await probeAmqp({ url, agents });
  } catch (caught) {
    throw notLockedDown(`an agent cannot log in: ${toCoPilotError(caught).message}`);
  } finally {
    for (const { user } of agents) await admission.dismiss(user);
  }
}
