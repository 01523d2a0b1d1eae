import { BROKER_ADDRESS, type Bus } from '../protocol/bindings/bus.ts';
import { throughDoor } from '../protocol/bindings/joint-bus.ts';
import { bytesOf, fromHex, hex } from '../protocol/encoding.ts';
import { CoPilotError } from '../protocol/errors.ts';
import type { ServiceWelcome } from '../protocol/generated/types.ts';
import { isServiceHello } from '../protocol/generated/validators.js';
import { decodeAs, PROTOCOL_VERSION } from '../protocol/messages.ts';
import type { PrivateKey, Runtime } from '../protocol/runtime/runtime.ts';
import { createResponder, type Responder, type ResponderLimits } from '../protocol/session/responder.ts';
import { sameBytes } from '../protocol/session/header.ts';
import type { Session } from '../protocol/session/session.ts';
import {
  type AnswerBody,
  type AskBody,
  type AskItem,
  counting,
  createTrustedLink,
  type TrustedLink,
} from '../protocol/session/trusted-link.ts';
import { createWays, type Ways } from '../protocol/session/ways.ts';

export interface AdapterHostOptions {
  readonly runtime: Runtime;
  readonly bus: Bus;
  readonly installation: string;
  /** This adapter's service name. */
  readonly name: string;
  /** Random id of this start of the adapter. */
  readonly start: string;
  readonly staticKey: PrivateKey;
  readonly keyId: number;
  /** Session keys of the brokers it serves, raw; nobody else gets an answer. */
  readonly brokers: readonly Uint8Array[];
  /** Whether a key is one of those now, where that may change. */
  readonly isBroker?: (key: Uint8Array) => boolean;
  readonly onAsk: (item: AskItem) => Promise<AnswerBody>;
  /** A broker is there: whatever it should know is said again. */
  readonly onBroker: () => void;
  readonly limits?: Partial<ResponderLimits>;
}

/** The trusted end of an adapter: answers its brokers, and tells them things. */
export interface AdapterHost {
  start(): Promise<void>;
  /** Asks every broker that is there; one that is not hears of it when it comes (`onBroker`). */
  tell(body: AskBody): void;
  readonly isConnected: boolean;
  stop(): Promise<void>;
}

/** One start of one broker, which may have a session on each of several buses. */
interface Peer {
  readonly id: string;
  readonly key: Uint8Array;
}

/** What is under way between a broker and us; it goes by any of the broker's sessions. */
interface Line {
  readonly link: TrustedLink;
  readonly ways: Ways<Session<Peer>>;
}

/** Sessions are IK with pinned keys (docs/protocol.md, S): whoever is not one of the brokers is never answered. */
export function createAdapterHost(options: AdapterHostOptions): AdapterHost {
  const { runtime, bus } = options;
  const lines = new Map<string, Line>();
  const nextNumber = counting();

  const responder: Responder<Peer> = createResponder<Peer>({
    runtime,
    pattern: 'IK',
    staticKeys: new Map([[options.keyId, options.staticKey]]),
    prologue: { installation: options.installation, responderRole: `adapter ${options.name}` },
    hello: (sessionId) => welcome(sessionId, options.start),
    authenticate,
    send: (to, frame) => void bus.send(to, frame).catch(() => undefined), // lost: the broker asks again
    onSession: open,
    onMessage: hear,
    onEnd: forget,
    ...(options.limits && { limits: options.limits }),
  });

  function isBroker(key: Uint8Array): boolean {
    return options.isBroker?.(key) ?? options.brokers.some((known) => sameBytes(known, key));
  }

  function authenticate(payload: Uint8Array, remoteStatic: Uint8Array) {
    if (!isBroker(remoteStatic)) return undefined;
    try {
      const hello = decodeAs(payload, isServiceHello);
      if (!hello.versions.includes(PROTOCOL_VERSION)) return undefined;
      const principal = { id: `${hex(remoteStatic)} ${hello.start}`, key: new Uint8Array(remoteStatic) };
      return { principal, peerSessionId: fromHex(hello.session) };
    } catch {
      return undefined; // not a broker of ours, whatever key it holds
    }
  }

  function open(session: Session<Peer>): void {
    for (const { ways } of lines.values())
      for (const older of ways.all) if (older.address === session.address) older.retire();
    const known = lines.get(session.principal.id);
    const line = known ?? openLine();
    line.ways.add(session);
    lines.set(session.principal.id, line);
    if (known === undefined) options.onBroker();
    else known.link.reopened();
  }

  function openLine(): Line {
    const ways: Ways<Session<Peer>> = createWays();
    const link = createTrustedLink({
      clock: runtime.clock,
      log: runtime.log,
      send: (message) => ways.send(message),
      onAsk: options.onAsk,
      onSilence: () => ways.turn(),
      nextNumber,
    });
    return { link, ways };
  }

  function hear(session: Session<Peer>, message: Uint8Array): void {
    // A key may be taken from the list while its session is there.
    if (!isBroker(session.principal.key)) return responder.close(session);
    try {
      const line = lines.get(session.principal.id);
      if (session.state === 'open') line?.ways.heard(session);
      line?.link.receive(message);
    } catch (caught) {
      runtime.log.error({ err: caught }, 'the broker sent a message that cannot be read');
    }
  }

  /** With its last session a broker's line ends; before that, what was on its way there goes by another. */
  function forget(session: Session<Peer>): void {
    const { id } = session.principal;
    const line = lines.get(id);
    if (line === undefined) return;
    line.ways.remove(session);
    if (line.ways.all.length > 0) return line.link.reopened();
    line.link.close();
    lines.delete(id);
  }

  bus.onFrame((from, frame) => responder.receive(from, frame));
  bus.onConnection((state, door) => {
    if (state === 'down') responder.dropAddress(throughDoor(door, BROKER_ADDRESS));
  });
  bus.onGone((address) => responder.dropAddress(address));

  return {
    start: () => bus.start(),
    tell(body) {
      for (const { link, ways } of lines.values()) {
        if (!isOpen(ways)) continue;
        link.ask(body).catch((caught: unknown) => {
          if (!(caught instanceof CoPilotError)) throw caught;
          runtime.log.debug({ op: body.op, code: caught.code }, 'a broker did not hear it; it will ask');
        });
      }
    },
    get isConnected() {
      return [...lines.values()].some(({ ways }) => isOpen(ways));
    },
    async stop() {
      for (const { link } of lines.values()) link.close();
      responder.stop();
      await bus.stop();
    },
  };
}

function isOpen({ all }: Ways<Session<Peer>>): boolean {
  return all.some(({ state }) => state === 'open');
}

function welcome(sessionId: Uint8Array, start: string): Uint8Array {
  const message: ServiceWelcome = {
    kind: 'service-welcome',
    session: hex(sessionId),
    version: PROTOCOL_VERSION,
    start,
  };
  return bytesOf(JSON.stringify(message));
}
