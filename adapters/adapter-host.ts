import { BROKER_ADDRESS, type Bus } from '../protocol/bindings/bus.ts';
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

interface Peer {
  readonly start: string;
  readonly key: Uint8Array;
}

type Line = { readonly session: Session<Peer>; readonly link: TrustedLink };

/** Sessions are IK with pinned keys (docs/protocol.md, S): whoever is not one of the brokers is never answered. */
export function createAdapterHost(options: AdapterHostOptions): AdapterHost {
  const { runtime, bus } = options;
  const lines = new Map<Session<Peer>, Line>();
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
      return {
        principal: { start: hello.start, key: new Uint8Array(remoteStatic) },
        peerSessionId: fromHex(hello.session),
      };
    } catch {
      return undefined; // not a broker of ours, whatever key it holds
    }
  }

  function open(session: Session<Peer>): void {
    for (const older of lines.keys()) if (older.address === session.address) older.retire();
    const link = createTrustedLink({
      clock: runtime.clock,
      log: runtime.log,
      send: (message) => session.send(message),
      onAsk: options.onAsk,
      nextNumber,
    });
    lines.set(session, { session, link });
    options.onBroker();
  }

  function hear(session: Session<Peer>, message: Uint8Array): void {
    // A key may be taken from the list while its session is there.
    if (!isBroker(session.principal.key)) return responder.close(session);
    try {
      lines.get(session)?.link.receive(message);
    } catch (caught) {
      runtime.log.error({ err: caught }, 'the broker sent a message that cannot be read');
    }
  }

  function forget(session: Session<Peer>): void {
    lines.get(session)?.link.close();
    lines.delete(session);
  }

  bus.onFrame((from, frame) => responder.receive(from, frame));
  bus.onConnection((state) => {
    if (state === 'down') responder.dropAddress(BROKER_ADDRESS);
  });
  bus.onGone((address) => responder.dropAddress(address));

  return {
    start: () => bus.start(),
    tell(body) {
      for (const { session, link } of lines.values()) {
        if (session.state !== 'open') continue;
        link.ask(body).catch((caught: unknown) => {
          if (!(caught instanceof CoPilotError)) throw caught;
          runtime.log.debug({ op: body.op, code: caught.code }, 'a broker did not hear it; it will ask');
        });
      }
    },
    get isConnected() {
      return [...lines.keys()].some((session) => session.state === 'open');
    },
    async stop() {
      for (const { link } of lines.values()) link.close();
      responder.stop();
      await bus.stop();
    },
  };
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
