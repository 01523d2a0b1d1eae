import type { Bus } from '../protocol/bindings/bus.ts';
import { createJointBus } from '../protocol/bindings/joint-bus.ts';
import { type ProbeResult, refuseLeaks } from '../protocol/bindings/lock-down.ts';
import { createWebSocketClient } from '../protocol/bindings/websocket-client.ts';
import { fromHex, newId } from '../protocol/encoding.ts';
import { loadKey } from '../protocol/runtime/key-file.ts';
import type { Runtime } from '../protocol/runtime/runtime.ts';
import type { AnswerBody, AskItem } from '../protocol/session/trusted-link.ts';
import type { AdapterConfiguration } from './adapter-configuration.ts';
import type { Trust } from './trust.ts';
import { type AdapterHost, createAdapterHost } from './adapter-host.ts';

export type AnswerAsk = (item: AskItem) => Promise<AnswerBody>;

export interface AdapterConnection {
  readonly runtime: Runtime;
  readonly configuration: AdapterConfiguration;
  /** Whom it believes; those of the configuration where it is left out. */
  readonly trust?: Trust;
  readonly onAsk: AnswerAsk;
  readonly onBroker: () => void;
}

/** Wires an adapter program to the bus, or to all of several; it serves once it is on one of them. */
export async function connectAdapter({
  runtime,
  configuration,
  trust,
  onAsk,
  onBroker,
}: AdapterConnection): Promise<AdapterHost> {
  const { installation, name, keyId, busUrls, busSecret } = configuration;
  const buses = await Promise.all(busUrls.map((url) => busAt(url, name, busSecret, runtime)));
  return createAdapterHost({
    runtime,
    bus: joined(buses, runtime),
    installation,
    name,
    start: newId(runtime.random),
    staticKey: loadKey(runtime.crypto, configuration.key),
    keyId,
    brokers: configuration.brokers.map(fromHex),
    ...(trust && { isBroker: (key) => trust.isBroker(key) }),
    onAsk,
    onBroker,
  });
}

function joined(buses: readonly Bus[], { log }: Runtime): Bus {
  const [only, ...others] = buses;
  if (only !== undefined && others.length === 0) return only;
  const doors = buses.map((bus, at) => ({ name: `bus-${at + 1}`, bus }));
  return createJointBus({ doors, needs: 'one', log });
}

/**
 * A service's bus at an address that the broker gave. Its `start` rejects where the server there is not locked down. The client of a
 * server is loaded where it is used: without one a program starts sooner.
 */
export async function busAt(url: string, name: string, secret: string, runtime: Runtime): Promise<Bus> {
  if (url.startsWith('ws')) return createWebSocketClient({ url, service: name, secret, ...runtime });
  const address = `service.${name}`;
  if (url.startsWith('xmpp')) {
    const { createXmppServiceBus } = await import('../protocol/bindings/xmpp-service.ts');
    const { probeXmppAsService } = await import('../protocol/bindings/xmpp-probe.ts');
    return checked(createXmppServiceBus({ url, address, secret, ...runtime }), () =>
      probeXmppAsService(url, secret, runtime.clock),
    );
  }
  const credential = { user: address, password: secret };
  const { createAmqpServiceBus } = await import('../protocol/bindings/amqp-service.ts');
  const { probeAsService } = await import('../protocol/bindings/amqp-probe.ts');
  return checked(createAmqpServiceBus({ url, address, credential, ...runtime }), () =>
    probeAsService(url, credential),
  );
}

/** Its start rejects with `INVALID_CONFIGURATION` where the server lets an adapter do what it must not. */
function checked(bus: Bus, probe: () => Promise<readonly ProbeResult[]>): Bus {
  return {
    ...bus,
    async start() {
      await bus.start();
      try {
        refuseLeaks(await probe());
      } catch (caught) {
        await bus.stop();
        throw caught;
      }
    },
  };
}
