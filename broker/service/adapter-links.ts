import { serviceAddress } from './addresses.ts';
import type { BrokerConfiguration, ServiceConfiguration } from './configuration.ts';
import type { Address, Bus } from '../../protocol/bindings/bus.ts';
import { throughDoor } from '../../protocol/bindings/joint-bus.ts';
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
import { createWays, type Ways } from '../../protocol/session/ways.ts';

export interface AdapterLinksOptions {
  readonly runtime: Runtime;
  readonly configuration: BrokerConfiguration;
  readonly bus: Bus;
  /** What an adapter asks of the broker; resolves once it is durable. */
  readonly onAsk: (service: string, item: AskItem) => Promise<AnswerBody>;
  /** A session to the adapter is up; its connection may have lost anything before. */
  readonly onOpen: (service: string) => void;
}

/** Sessions from this broker to every adapter it is configured for, on every bus it serves. */
export interface AdapterLinks {
  connect(): void;
  /** True where the frame came from an adapter's address and was taken. */
  receive(from: Address, frame: Uint8Array): boolean;
  /** The bus, or one of several, lost or made its connection: sessions do not outlive it. */
  connection(state: 'up' | 'down', door?: string): void;
  /** The adapter at an address is gone. */
  gone(address: Address): void;
  ask(service: string, body: AskBody, deadlineMs?: number): Promise<AnswerBody>;
  isOpen(service: string): boolean;
  stop(): void;
}

/** The way to an adapter by one bus. */
interface Line {
  readonly door: string | undefined;
  readonly address: Address;
  readonly initiator: Initiator;
}

interface Adapter {
  readonly link: TrustedLink;
  readonly lines: readonly Line[];
}

export function createAdapterLinks(options: AdapterLinksOptions): AdapterLinks {
  const { services } = options.configuration;
  const adapters = new Map(services.map((service) => [service.name, openAdapter(options, service)]));
  const lines = [...adapters.values()].flatMap((adapter) => adapter.lines);
  const byAddress = new Map(lines.map((line) => [line.address, line]));

  return {
    connect() {
      for (const { initiator } of lines) initiator.connect();
    },
    receive(from, frame) {
      const line = byAddress.get(from);
      line?.initiator.receive(frame);
      return line !== undefined;
    },
    connection(state, door) {
      for (const { initiator } of lines.filter((line) => line.door === door)) {
        if (state === 'up') initiator.connect();
        else initiator.disconnect();
      }
    },
    gone(address) {
      const line = byAddress.get(address);
      line?.initiator.disconnect();
      line?.initiator.connect();
    },
    ask(service, body, deadlineMs) {
      const adapter = adapters.get(service);
      if (adapter !== undefined) return adapter.link.ask(body, deadlineMs);
      return Promise.reject(new CoPilotError('UNREACHABLE', `no adapter named ${service} is configured`));
    },
    isOpen: (service) => adapters.get(service)?.lines.some(({ initiator }) => initiator.isOpen) === true,
    stop() {
      for (const { link } of adapters.values()) link.close();
      for (const { initiator } of lines) initiator.close();
    },
  };
}

/** One link over as many sessions as there are buses: whatever was under way on one of them goes on by another. */
function openAdapter(options: AdapterLinksOptions, service: ServiceConfiguration): Adapter {
  const { runtime, configuration } = options;
  const near = new Set<Initiator>();
  const ways: Ways<Initiator> = createWays((initiator) => near.has(initiator));
  const link: TrustedLink = createTrustedLink({
    clock: runtime.clock,
    log: runtime.log,
    send: (message) => ways.send(message),
    onAsk: (item) => options.onAsk(service.name, item),
    onSilence: () => ways.turn(),
  });
  const doors = configuration.doors ?? [undefined];
  const heard = (initiator: Initiator): void => ways.heard(initiator);
  const lines = doors.map((door) => openLine(options, service, { link, heard }, door));
  for (const { door, initiator } of lines)
    if (door !== undefined && door === configuration.nearDoor) near.add(initiator);
  for (const { initiator } of lines.toReversed()) ways.add(initiator);
  return { link, lines };
}

function openLine(
  options: AdapterLinksOptions,
  service: ServiceConfiguration,
  { link, heard }: { readonly link: TrustedLink; readonly heard: (initiator: Initiator) => void },
  door: string | undefined,
): Line {
  const { runtime, configuration, bus } = options;
  const address = throughDoor(door, serviceAddress(service.name));
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
      heard(initiator);
      link.reopened();
      options.onOpen(service.name);
    },
    onMessage(message) {
      heard(initiator);
      receiveQuietly(runtime, link, service.name, message);
    },
    onLost(reason) {
      runtime.log.warn({ service: service.name, bus: door, reason }, 'the session to an adapter is gone');
      // What was on its way there goes again by another bus.
      link.reopened();
    },
  });
  return { door, address, initiator };
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
