import { notLockedDown } from '../../protocol/bindings/lock-down.ts';
import { toCoPilotError } from '../../protocol/errors.ts';
import type { BusServerConfiguration } from '../program-configuration.ts';
import { guarded, logClosed } from './guarded-bus.ts';
import { isShared, refuseOthers } from './other-brokers.ts';
import type { ProgramBus, ProgramBusOptions } from './program-bus.ts';

/** The server itself keeps each agent to one connection. */
const NO_COUNT = (): number => 0;
/** No agent has this name. */
const NOBODY = 'nobody';

function explainDeaf(caught: unknown): never {
  const { code } = toCoPilotError(caught);
  throw code === 'NOT_AUTHORIZED' ? notLockedDown('the broker cannot close an agent’s stream') : caught;
}

/** Prosody or ejabberd, on which the broker is a component. */
export async function xmppBus(
  options: ProgramBusOptions,
  { url, password, accessPort, publicUrl }: BusServerConfiguration,
  componentUrl: string,
): Promise<ProgramBus> {
  const { createXmppBrokerBus } = await import('../../protocol/bindings/xmpp-broker.ts');
  const { runtime, configuration } = options;
  const { instance, framesPerSecond } = configuration;
  const xmpp = createXmppBrokerBus({
    url: componentUrl,
    secret: password,
    instance,
    framesPerSecond,
    isAlone: !isShared(configuration),
    ...runtime,
  });
  const evict = async (agent: string): Promise<void> => logClosed(runtime, agent, await xmpp.evict(agent));
  const start = async (): Promise<void> => {
    refuseOthers(configuration);
    await xmpp.start();
  };
  return {
    bus: guarded(options, {
      bus: { ...xmpp, start },
      accessPort,
      server: { kind: 'xmpp', url, componentUrl },
      connections: NO_COUNT,
      evict,
      prove: () => xmpp.evict(NOBODY).catch(explainDeaf),
    }),
    agentUrls: () => [publicUrl ?? url],
    url: () => url,
    address: xmpp.address,
    doors: undefined,
    connectionCount: () => undefined,
    admit: async () => undefined,
    evict,
  };
}
