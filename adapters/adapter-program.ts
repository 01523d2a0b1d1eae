import type { Bus } from '../protocol/bindings/bus.ts';
import { type ProbeResult, refuseLeaks } from '../protocol/bindings/lock-down.ts';
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

/** Wires an adapter program to the bus. */
export async function connectAdapter({
  runtime,
  configuration,
  onAsk,
  onBroker,
}: AdapterConnection): Promise<AdapterHost> {
  const { installation, name, keyId, busUrl, busSecret } = configuration;
  return createAdapterHost({
    runtime,
    bus: await busAt(busUrl, name, busSecret, runtime),
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

/** A bus server's client is loaded where it is used: without one a program starts sooner. */
async function busAt(url: string, name: string, secret: string, runtime: Runtime): Promise<Bus> {
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
