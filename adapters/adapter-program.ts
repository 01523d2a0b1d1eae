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

/** Wires an adapter program to the embedded bus. */
export function connectAdapter({ runtime, configuration, onAsk, onBroker }: AdapterConnection): AdapterHost {
  const { installation, name, keyId, busUrl, busSecret } = configuration;
  const bus = createWebSocketClient({
    url: busUrl,
    service: name,
    secret: busSecret,
    clock: runtime.clock,
    random: runtime.random,
    log: runtime.log,
  });
  return createAdapterHost({
    runtime,
    bus,
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
