import { CoPilotError } from '../errors.ts';
import { RateLimiter } from '../session/rate-limiter.ts';
import { type Address, BROKER_ADDRESS, type Bus } from './bus.ts';
import { SharedBound } from './inlet.ts';
import { instanceAddress, partyAt } from './parties.ts';
import { openComponent } from './xmpp-connection.ts';
import { Entrance } from './xmpp-entrance.ts';
import { closedBy, evictionStanza } from './xmpp-eviction.ts';
import { addressOf, jidOf } from './xmpp-names.ts';
import { componentPlace } from './xmpp-place.ts';
import { busOf, XMPP_HANDLERS, type XmppOptions, XmppPort } from './xmpp-port.ts';
import { Presence } from './xmpp-presence.ts';

export interface XmppBrokerOptions extends XmppOptions {
  /** The port of the server that components come to: `xmpp:`, on this machine. */
  readonly url: string;
  /** Of all brokers. */
  readonly secret: string;
  /** The instance's name among the brokers of the installation; the server has a component for it. */
  readonly instance: string;
  /** Frames of one agent; what comes faster is dropped, as a network may. */
  readonly framesPerSecond: number;
  /**
   * No other broker may be on the bus: their ledgers would know nothing of one another. `start` rejects with `CONFLICT` where the shared
   * name is another's; a server that shares it out among brokers does not tell.
   */
  readonly isAlone?: boolean;
}

/** A broker's bus. Frames come by its own name, and by the shared one while it holds that. */
export interface XmppBrokerBus extends Bus {
  /** Where agents and adapters reach this instance and no other. */
  readonly address: Address;
  /** Whether it is this instance that answers at the shared address. */
  readonly holdsEntrance: boolean;
  /**
   * Has the server close every stream of an agent, those that it keeps for a lost connection too; answers how many there were.
   * Rejects with `NOT_AUTHORIZED`, `BUS_CLOSED` or `UNREACHABLE`.
   */
  evict(agent: string): Promise<number>;
}

const WAITING_BYTES = 64 * 1024 * 1024;
/** A broker that was killed has its names for as long as the server takes to notice. */
const CONFLICT_MS = 5_000;

/** `start` rejects with `NOT_AUTHORIZED` where the secret is refused, with `NOT_FOUND` where the server has no such component. */
export function createXmppBrokerBus(options: XmppBrokerOptions): XmppBrokerBus {
  const { url, secret, instance, framesPerSecond, isAlone = false, clock, log } = options;
  const address = instanceAddress(instance);
  const place = componentPlace(url);
  const { domain } = place;
  const limiter = new RateLimiter({ burst: 2 * framesPerSecond, everyMs: 1000 / framesPerSecond });
  const presence = new Presence();
  const [ownName, sharedName] = [nameOf(address, domain), nameOf(BROKER_ADDRESS, domain)];

  const port = new XmppPort(options, {
    open: (events, signal) => openComponent({ place, clock, events, signal }, { name: ownName, secret }),
    jidOf: (to) => (isPeer(to) ? jidOf(to, domain) : undefined),
    addressOf(jid) {
      const from = addressOf(jid, domain);
      return from !== undefined && isPeer(from) ? from : undefined;
    },
    takes(from) {
      if (partyAt(from)?.kind === 'service' || limiter.take(from, clock.monotonicMs())) return true;
      log.debug({ address: from }, 'an agent sends too fast, and a frame of it was dropped');
      return false;
    },
    isThere: (from, name, word) => presence.hear(from, name, word),
    lost: () => presence.forget(ownName),
    returnsAudibly: (peer) => partyAt(peer)?.kind === 'agent',
    peers: () => [],
    domain,
    waitingBytes: WAITING_BYTES,
    shared: new SharedBound(XMPP_HANDLERS),
  });
  const entrance = new Entrance({
    clock,
    log,
    open: (events, signal) => openComponent({ place, clock, events, signal }, { name: sharedName, secret }),
    openInlet: (connection) => port.openInlet(connection),
    take: (stanza, inlet) => port.take(stanza, inlet),
    lost: () => presence.forget(sharedName),
  });
  let starting: Promise<void> | undefined;

  async function begin(): Promise<void> {
    await port.start();
    await entrance.start();
    if (!isAlone || (await entrance.isHeldWithin(CONFLICT_MS))) return;
    await Promise.all([port.stop(), entrance.stop()]);
    throw new CoPilotError('CONFLICT', 'another broker answers at the shared address');
  }

  return {
    ...busOf(port),
    address,
    get holdsEntrance() {
      return entrance.isHeld;
    },
    evict: async (agent) => closedBy(await port.ask((id) => evictionStanza(domain, agent, id))),
    start() {
      starting ??= begin();
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
