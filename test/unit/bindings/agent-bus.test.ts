import { expect, it } from 'vitest';
import { createAgentBus } from '../../../protocol/bindings/agent-bus.ts';
import { nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { silentLog } from '../../doubles/silent-log.ts';

const options = {
  agent: 'a'.repeat(26),
  identity: () => 'an identity',
  renewIdentity: async () => undefined,
  clock: createManualClock(),
  random: nodeRandom,
  log: silentLog,
};

it.each([
  'amqp://bus.example.org',
  'amqp://192.0.2.1:5672/copilot',
  'amqp://127.0.0.1.example.org',
  'ws://bus.example.org/bus',
  'ws://bus.example.org/xmpp-websocket',
])('refuses to log in in the clear to another machine: %s', async (url) => {
  await expect(createAgentBus({ ...options, url })).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' });
});

it.each([
  'ws://127.0.0.1:80/bus',
  'wss://bus.example.org/bus',
  'amqps://bus.example.org',
  'amqp://127.0.0.1:5672',
  'xmpp://bus.example.org',
  'xmpps://bus.example.org:443',
  'wss://bus.example.org/xmpp-websocket',
])('has a bus for %s', async (url) => {
  const bus = await createAgentBus({ ...options, url });
  await expect(bus.send('broker', new Uint8Array(1))).rejects.toMatchObject({ code: 'BUS_CLOSED' });
  await bus.identityRenewed();
  await bus.stop();
});
