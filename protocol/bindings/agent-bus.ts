import { CoPilotError } from '../errors.ts';
import type { AmqpAgentBus, AmqpAgentOptions } from './amqp-agent.ts';
import { createWebSocketClient } from './websocket-client.ts';
import { isXmppUrl } from './xmpp-place.ts';

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * The agent's bus at an address that enrolment gave: `ws`, `wss`, `amqp`, `amqps`, `xmpp` or `xmpps`. Throws
 * `NOT_AUTHORIZED` where another machine would be reached in the clear.
 */
export async function createAgentBus(options: AmqpAgentOptions): Promise<AmqpAgentBus> {
  const { protocol, hostname } = new URL(options.url);
  if ((protocol === 'amqp:' || protocol === 'ws:') && !LOOPBACK.has(hostname))
    throw new CoPilotError(
      'NOT_AUTHORIZED',
      `the bus at ${hostname} is reached in the clear; it must be ${protocol.slice(0, -1)}s`,
    );
  if (protocol === 'amqp:' || protocol === 'amqps:') {
    // Loaded where it is used: an agent starts in a tenth of a second.
    const { createAmqpAgentBus } = await import('./amqp-agent.ts');
    return createAmqpAgentBus(options);
  }
  if (isXmppUrl(options.url)) {
    const { createXmppAgentBus } = await import('./xmpp-agent.ts');
    return createXmppAgentBus(options);
  }
  const { url, clock, random, log } = options;
  return Object.assign(createWebSocketClient({ url, clock, random, log }), {
    identityRenewed: async () => undefined,
  });
}
