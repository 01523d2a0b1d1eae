import type { Credential } from '../protocol/bindings/amqp-connect.ts';
import { probeAsService, refuseLeaks } from '../protocol/bindings/amqp-probe.ts';
import { createAmqpServiceBus } from '../protocol/bindings/amqp-service.ts';
import type { Bus } from '../protocol/bindings/bus.ts';
import { createJointBus } from '../protocol/bindings/joint-bus.ts';
import { createWebSocketClient } from '../protocol/bindings/websocket-client.ts';
import { fromHex, newId } from '../protocol/encoding.ts';
import { loadKey } from '../protocol/runtime/key-file.ts';
import type { Runtime } from '../protocol/runtime/runtime.ts';
import type { AnswerBody, AskItem } from '../protocol/session/trusted-link.ts';
import type { AdapterConfiguration } from './adapter-configuration.ts';
import { type AdapterHost, createAdapterHost } from './adapter-host.ts';

export type AnswerAsk = (item: AskItem) => Promise<AnswerBody>;

export interface AdapterConnection {
  readonly runtime: Runtime;
  readonly configuration: AdapterConfiguration;
  readonly onAsk: AnswerAsk;
  readonly onBroker: () => void;
}

/** Wires an adapter program to the bus, or to all of several; it serves once it is on one of them. */
export function connectAdapter({ runtime, configuration, onAsk, onBroker }: AdapterConnection): AdapterHost {
  const { installation, name, keyId, busUrls, busSecret } = configuration;
  const buses = busUrls.map((url) => busAt(url, name, busSecret, runtime));
  return createAdapterHost({
    runtime,
    bus: joined(buses, runtime),
    installation,
    name,
    start: newId(runtime.random),
    staticKey: loadKey(runtime.crypto, configuration.key),
    keyId,
    brokers: configuration.brokers.map(fromHex),
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

function busAt(url: string, name: string, secret: string, runtime: Runtime): Bus {
  if (url.startsWith('ws')) return createWebSocketClient({ url, service: name, secret, ...runtime });
  const address = `service.${name}`;
  const credential = { user: address, password: secret };
  const bus = createAmqpServiceBus({ url, address, credential, ...runtime });
  return {
    ...bus,
    async start() {
      await bus.start();
      await checkBus(url, credential).catch(async (caught: unknown) => {
        await bus.stop();
        throw caught;
      });
    },
  };
}

/** Rejects with `INVALID_CONFIGURATION` where the server lets an adapter do what it must not. */
async function checkBus(url: string, credential: Credential): Promise<void> {
  refuseLeaks(await probeAsService(url, credential));
}
