import { freePort } from '../../doubles/free-port.ts';
import { HOST } from '../stage.ts';
import type { StartBenchServer } from './bench-server.ts';

/** The same server for agents, while broker and adapters speak by the embedded bus that the broker serves beside it (docs/buses.md). */
export function beside(start: StartBenchServer): StartBenchServer {
  return async (options) => {
    const server = await start(options);
    const busPort = await freePort();
    const { buses, busPort: accessPort } = server.broker;
    return {
      ...server,
      get pid() {
        return server.pid;
      },
      serviceUrl: `ws://${HOST}:${busPort}/bus`,
      broker: { buses: [...buses.map((bus) => ({ ...bus, accessPort })), { kind: 'websocket' }], busPort },
    };
  };
}
