import type { Admission } from '../protocol/bindings/amqp-admission.ts';
import { notLockedDown, type ProbeResult } from '../protocol/bindings/lock-down.ts';
import { toCoPilotError } from '../protocol/errors.ts';
import type { PrivateKey, Runtime } from '../protocol/runtime/runtime.ts';
import { throwAwayAgent } from './enrolment/throw-away-agent.ts';

export interface BusCheckOptions {
  readonly runtime: Runtime;
  readonly installation: string;
  readonly identityKey: PrivateKey;
  readonly server: CheckedServer;
}

export type CheckedServer =
  | { readonly kind: 'amqp'; readonly url: string; readonly admission: Admission }
  | { readonly kind: 'xmpp'; readonly url: string; readonly componentUrl: string };

type Login = ReturnType<typeof throwAwayAgent>;

/**
 * Two agents that exist for this alone try what agents must not do. Rejects with `INVALID_CONFIGURATION` where they cannot even
 * log in.
 */
export async function checkBus(options: BusCheckOptions): Promise<readonly ProbeResult[]> {
  const { runtime, installation, identityKey, server } = options;
  const make = () => throwAwayAgent(runtime, installation, identityKey);
  const agents = [make(), make()] as const;
  try {
    return await probe(server, agents, runtime);
  } catch (caught) {
    throw notLockedDown(`an agent cannot log in: ${toCoPilotError(caught).message}`);
  }
}

async function probe(
  server: CheckedServer,
  agents: readonly [Login, Login],
  { clock }: Runtime,
): Promise<readonly ProbeResult[]> {
  if (server.kind === 'xmpp') {
    const { probeXmpp } = await import('../protocol/bindings/xmpp-probe.ts');
    return probeXmpp({ ...server, agents, clock });
  }
  const { probeAmqp } = await import('../protocol/bindings/amqp-probe.ts');
  const { url, admission } = server;
  for (const { user } of agents) await admission.admit(user);
  try {
    return await probeAmqp({ url, agents });
  } finally {
    for (const { user } of agents) await admission.dismiss(user);
  }
}
