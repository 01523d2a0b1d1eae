import { RateLimiter } from '../session/rate-limiter.ts';
import { type Address, BROKER_ADDRESS, type Bus } from './bus.ts';
import { SharedBound } from './inlet.ts';
import { instanceAddress, partyAt } from './parties.ts';
import { openComponent } from './xmpp-connection.ts';
import { Entrance } from './xmpp-entrance.ts';
import { addressOf, jidOf } from './xmpp-names.ts';
import { componentPlace } from './xmpp-place.ts';
import { busOf, XMPP_HANDLERS, type XmppOptions, XmppPort } from './xmpp-port.ts';

export interface XmppBrokerOptions extends XmppOptions {
  /** The port of the server that components come to: `xmpp:`, on this machine. */
  readonly url: string;
  /** Of all brokers. */
  readonly secret: string;
  /** The instance's name among the brokers of the installation; the server has a component for it. */
  readonly instance: string;
  /** Frames of one agent; what comes faster is dropped, as a network may. */
  readonly framesPerSecond: number;
}

/** A broker's bus. Frames come by its own name, and by the shared one while it holds that. */
export interface XmppBrokerBus extends Bus {
  /** Where agents and adapters reach this instance and no other. */
  readonly address: Address;
  /** Whether it is this instance that answers at the shared address. */
  readonly holdsEntrance: boolean;
}

const WAITING_BYTES = 64 * 1024 * 1024;

/** `start` rejects with `NOT_AUTHORIZED` where the secret is refused, with `NOT_FOUND` where the server has no such component. */
export function createXmppBrokerBus(options: XmppBrokerOptions): XmppBrokerBus {
  const { url, secret, instance, framesPerSecond, clock, log } = options;
  const address = instanceAddress(instance);
  const place = componentPlace(url);
  const { domain } = place;
  const limiter = new RateLimiter({ burst: 2 * framesPerSecond, everyMs: 1000 / framesPerSecond });
  const present = new Set<Address>();

  const port = new XmppPort(options, {
    open: (events, signal) =>
      openComponent({ place, clock, events, signal }, { name: nameOf(address, domain), secret }),
    jidOf: (to) => (isPeer(to) ? jidOf(to, domain) : undefined),
    addressOf(jid) {
      const from = addressOf(jid, domain);
      return from !== undefined && isPeer(from) ? from : undefined;
    },
    takes(from) {
      const isSlow = partyAt(from)?.kind === 'service' || limiter.take(from, clock.monotonicMs());
      if (!isSlow) log.debug({ address: from }, 'an agent sends too fast, and a frame of it was dropped');
      return isSlow;
    },
    returnsAudibly: (peer) => partyAt(peer)?.kind === 'agent',
    peers: () => [],
    domain,
    waitingBytes: WAITING_BYTES,
    shared: new SharedBound(XMPP_HANDLERS),
  });
  const entrance = new Entrance({
    clock,
    log,
    open: (events, signal) =>
      openComponent({ place, clock, events, signal }, { name: nameOf(BROKER_ADDRESS, domain), secret }),
    openInlet: (connection) => port.openInlet(connection),
    take: (stanza, inlet) => port.take(stanza, inlet),
  });
  void present;
  let starting: Promise<void> | undefined;
  return {
    ...busOf(port),
    address,
    get holdsEntrance() {
      return entrance.isHeld;
    },
    start() {
      starting ??= port.start().then(() => entrance.start());
      return starting;
    },
    async stop() {
      await entrance.settled();
      await port.stop();
      await entrance.stop();
    },
  };
}

function isPeer(address: Address): boolean {
  const kind = partyAt(address)?.kind;
  return kind === 'agent' || kind === 'service';
}

function nameOf(address: Address, domain: string): string {
  const name = jidOf(address, domain);
  if (name === undefined) throw new TypeError(`no component can be named after ${address}`);
  return name;
}
