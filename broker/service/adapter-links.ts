import { serviceAddress } from './addresses.ts';
import type { BrokerConfiguration, ServiceConfiguration } from './configuration.ts';
import type { Address, Bus } from '../../protocol/bindings/bus.ts';
import { bytesOf } from '../../protocol/encoding.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import { isServiceWelcome } from '../../protocol/generated/validators.js';
import type { ServiceHello } from '../../protocol/generated/types.ts';
import { decodeAs, PROTOCOL_VERSION } from '../../protocol/messages.ts';
import { fromHex, hex } from '../../protocol/encoding.ts';
import type { Runtime } from '../../protocol/runtime/runtime.ts';
import { createInitiator, type Initiator } from '../../protocol/session/initiator.ts';
import {
  type AnswerBody,
  type AskBody,
  type AskItem,
  createTrustedLink,
  type TrustedLink,
} from '../../protocol/session/trusted-link.ts';

export interface AdapterLinksOptions {
  readonly runtime: Runtime;
  readonly configuration: BrokerConfiguration;
  readonly bus: Bus;
  /** What an adapter asks of the broker; resolves once it is durable. */
  readonly onAsk: (service: string, item: AskItem) => Promise<AnswerBody>;
  /** A session to the adapter is up; its connection may have lost anything before. */
  readonly onOpen: (service: string) => void;
}

/** Sessions from this broker to every adapter it is configured for. */
export interface AdapterLinks {
  connect(): void;
  /** True where the frame came from an adapter's address and was taken. */
  receive(from: Address, frame: Uint8Array): boolean;
  /** The bus lost or made its connection: sessions do not outlive it. */
  connection(state: 'up' | 'down'): void;
  /** The adapter at an address is gone. */
  gone(address: Address): void;
  ask(service: string, body: AskBody, deadlineMs?: number): Promise<AnswerBody>;
  isOpen(service: string): boolean;
  stop(): void;
}

interface Line {
  readonly initiator: Initiator;
  readonly link: TrustedLink;
}

export function createAdapterLinks(options: AdapterLinksOptions): AdapterLinks {
  const lines = new Map<Address, Line>();
  for (const service of options.configuration.services)
    lines.set(serviceAddress(service.name), openLine(options, service));

  return {
    connect() {
      for (const { initiator } of lines.values()) initiator.connect();
    },
    receive(from, frame) {
      const line = lines.get(from);
      line?.initiator.receive(frame);
      return line !== undefined;
    },
    connection(state) {
      for (const { initiator } of lines.values()) {
        if (state === 'up') initiator.connect();
        else initiator.disconnect();
      }
    },
    gone(address) {
      const line = lines.get(address);
      line?.initiator.disconnect();
      line?.initiator.connect();
    },
    ask(service, body, deadlineMs) {
      const line = lines.get(serviceAddress(service));
      if (line !== undefined) return line.link.ask(body, deadlineMs);
      return Promise.reject(new CoPilotError('UNREACHABLE', `no adapter named ${service} is configured`));
    },
    isOpen: (service) => lines.get(serviceAddress(service))?.initiator.isOpen === true,
    stop() {
      for (const { initiator, link } of lines.values()) {
        link.close();
        initiator.close();
      }
    },
  };
}

function openLine(options: AdapterLinksOptions, service: ServiceConfiguration): Line {
  const { runtime, configuration, bus } = options;
  const address = serviceAddress(service.name);
  const link: TrustedLink = createTrustedLink({
    clock: runtime.clock,
    log: runtime.log,
    send: (message) => initiator.send(message),
    onAsk: (item) => options.onAsk(service.name, item),
  });
  const initiator: Initiator = createInitiator({
    runtime,
    pattern: 'IK',
    staticKey: configuration.keys.session,
    prologue: { installation: configuration.installation, responderRole: `adapter ${service.name}` },
    responder: { key: service.key, keyId: service.keyId },
    payload1: (session) => serviceHello(configuration, session),
    onResponderHello: (payload) => judgeWelcome(payload),
    // A frame the bus does not take is a frame lost: the link asks again.
    send: (frame) => void bus.send(address, frame).catch(() => undefined),
    onOpen: () => {
      link.reopened();
      options.onOpen(service.name);
    },
    onMessage: (message) => receiveQuietly(runtime, link, service.name, message),
    onLost: (reason) =>
      runtime.log.warn({ service: service.name, reason }, 'the session to an adapter is gone'),
  });
  return { initiator, link };
}

function serviceHello(configuration: BrokerConfiguration, session: Uint8Array): Uint8Array {
  const hello: ServiceHello = {
    kind: 'service-hello',
    session: hex(session),
    versions: [PROTOCOL_VERSION],
    start: configuration.start,
  };
  return bytesOf(JSON.stringify(hello));
}

function judgeWelcome(payload: Uint8Array): { readonly sessionId: Uint8Array } | undefined {
  try {
    const welcome = decodeAs(payload, isServiceWelcome);
    return welcome.version === PROTOCOL_VERSION ? { sessionId: fromHex(welcome.session) } : undefined;
  } catch {
    return undefined; // whatever it was, it is no welcome: the handshake waits for another
  }
}

/** A trusted adapter that says something malformed is a fault of ours to log, never a reason to die. */
function receiveQuietly(runtime: Runtime, link: TrustedLink, service: string, message: Uint8Array): void {
  try {
    link.receive(message);
  } catch (caught) {
    runtime.log.error({ service, err: caught }, 'an adapter sent a message that cannot be read');
  }
}
