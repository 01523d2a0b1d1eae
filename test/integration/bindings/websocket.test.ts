import { createWebSocketClient } from '../../../protocol/bindings/websocket-client.ts';
import { createWebSocketHub } from '../../../protocol/bindings/websocket-server.ts';
import { nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import { busConformance } from '../../conformance/bus.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { freePort } from '../../doubles/free-port.ts';

busConformance({
  name: 'websocket',
  handlersAtOnce: 16,
  outboxFrames: 64,
  async pair(clock) {
    const shared = { clock, random: nodeRandom, log: silentLog };
    const port = await freePort();
    const createBroker = () =>
      createWebSocketHub({ host: '127.0.0.1', port, services: new Map(), ...shared });
    return {
      broker: createBroker(),
      client: createWebSocketClient({ url: `ws://127.0.0.1:${port}`, ...shared }),
      async interrupt(broker, whileDown) {
        await broker.stop();
        await whileDown();
        const restarted = createBroker();
        await restarted.start();
        return restarted;
      },
      release: async () => undefined,
    };
  },
});
