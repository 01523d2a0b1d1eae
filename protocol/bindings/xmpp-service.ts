import type { Address, Bus } from './bus.ts';
import { partyAt } from './parties.ts';
import { openComponent } from './xmpp-connection.ts';
import { addressOf, jidOf } from './xmpp-names.ts';
import { componentPlace } from './xmpp-place.ts';
import { busOf, type XmppOptions, XmppPort } from './xmpp-port.ts';

export interface XmppServiceOptions extends XmppOptions {
  /** The port of the server that components come to: `xmpp:`, on this machine. */
  readonly url: string;
  /** The adapter's address. */
  readonly address: Address;
  readonly secret: string;
}

const WAITING_BYTES = 64 * 1024 * 1024;

/** The bus of an adapter, whose peers are the broker instances. `start` rejects with `NOT_AUTHORIZED` where its secret is refused. */
export function createXmppServiceBus(options: XmppServiceOptions): Bus {
  const { url, address, secret, clock } = options;
  const place = componentPlace(url);
  const { domain } = place;
  const name = jidOf(address, domain) ?? address;
  const heard = new Set<Address>();
  const isBroker = (peer: Address): boolean => partyAt(peer)?.kind === 'instance';
  return busOf(
    new XmppPort(options, {
      open: (events, signal) => openComponent({ place, clock, events, signal }, { name, secret }),
      jidOf: (to) => (isBroker(to) ? jidOf(to, domain) : undefined),
      addressOf(jid) {
        const from = addressOf(jid, domain);
        return from !== undefined && isBroker(from) ? from : undefined;
      },
      takes(from) {
        heard.add(from);
        return true;
      },
      // A broker speaks first.
      returnsAudibly: () => true,
      peers: () => heard,
      domain,
      waitingBytes: WAITING_BYTES,
    }),
  );
}
