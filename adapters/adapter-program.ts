import type { Credential } from '../protocol/bindings/amqp-connect.ts';
import { probeAsService, refuseLeaks } from '../protocol/bindings/amqp-probe.ts';
import { createAmqpServiceBus } from '../protocol/bindings/amqp-service.ts';
import type { Bus } from '../protocol/bindings/bus.ts';
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

/** Wires an adapter program to the bus. */
export function connectAdapter({
  runtime,
  configuration,
  trust,
  onAsk,
  onBroker,
}: AdapterConnection): AdapterHost {
  const { installation, name, keyId, busUrl, busSecret } = configuration;
  return createAdapterHost({
    runtime,
    bus: busAt(busUrl, name, busSecret, runtime),
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
