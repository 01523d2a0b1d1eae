import type { AmqpAgentBus, AmqpAgentOptions } from './amqp-agent.ts';
import { BROKER_ADDRESS } from './bus.ts';
import { partyAt } from './parties.ts';
import { openClient } from './xmpp-connection.ts';
import { addressOf, jidOf } from './xmpp-names.ts';
import { agentPlace } from './xmpp-place.ts';
import { busOf, XmppPort } from './xmpp-port.ts';
import { presenceStanza } from './xmpp-stanza.ts';

const WAITING_BYTES = 4 * 1024 * 1024;

/**
 * The bus of an agent on an XMPP server: it may write to brokers, and to nobody else. Throws `NOT_AUTHORIZED` where its identity
 * would travel in the clear.
 */
export function createXmppAgentBus(options: AmqpAgentOptions): AmqpAgentBus {
  const { url, agent, identity, renewIdentity, clock } = options;
  const place = agentPlace(url);
  const { domain } = place;
  const port = new XmppPort(options, {
    open: (events, signal, lost) =>
      openClient({ place, clock, events, signal }, { user: agent, password: identity() }, lost?.resumption),
    jidOf: (to) => (isBroker(to) ? jidOf(to, domain) : undefined),
    addressOf(jid) {
      const address = addressOf(jid, domain);
      return address !== undefined && isBroker(address) ? address : undefined;
    },
    takes: () => true,
    shownAs: () => BROKER_ADDRESS,
    greeting: presenceStanza,
    // The shared entrance is somebody's again without a word.
    returnsAudibly: (address) => address !== BROKER_ADDRESS,
    peers: () => [BROKER_ADDRESS],
    refused: renewIdentity,
    domain,
    waitingBytes: WAITING_BYTES,
  });
  // An XMPP server judges a login once, and the broker has it ended with the identity that it was made with.
  return { ...busOf(port), identityRenewed: () => port.renewStream() };
}

function isBroker(address: string): boolean {
  const kind = partyAt(address)?.kind;
  return kind === 'entrance' || kind === 'instance';
}
