import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CoPilotError } from '../errors.ts';
import type { Log } from './runtime.ts';

/** Where a program's metrics are read: nowhere unless a port is given. */
export interface MetricsConfiguration {
  /** On the loopback interface; 0 for any free one. */
  readonly port: number;
}

interface Readable {
  readonly contentType: string;
  text(): Promise<string>;
}

const HOST = '127.0.0.1';
const HEADERS_MS = 5_000;
const MAX_CONNECTIONS = 16;

export interface MetricsServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** Serves `GET /metrics` on the loopback interface. Throws `PORT_TAKEN`. */
export async function startMetricsServer(metrics: Readable, port: number, log: Log): Promise<MetricsServer> {
  const server = createServer(
    { headersTimeout: HEADERS_MS, requestTimeout: HEADERS_MS },
    (request, response) => {
      if (request.method !== 'GET' || request.url !== '/metrics') {
        response.writeHead(404).end();
        return;
      }
      metrics.text().then(
        (text) => response.writeHead(200, { 'Content-Type': metrics.contentType }).end(text),
        (caught: unknown) => {
          log.warn({ error: caught }, 'metrics could not be collected');
          response.writeHead(503).end();
        },
      );
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.listen(port, HOST);
  await once(server, 'listening').catch((cause: unknown) => {
    throw new CoPilotError('PORT_TAKEN', `port ${port} of ${HOST} is taken: choose another for metrics`, {
      cause,
    });
  });
  return {
    url: `http://${HOST}:${(server.address() as AddressInfo).port}/metrics`, // listening on TCP
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
