import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';

/** A small HTTP server of the suite's own. */
export interface HttpDesk {
  readonly port: number;
  close(): Promise<void>;
}

export async function openHttpDesk(host: string, handler: RequestListener): Promise<HttpDesk> {
  const server = createServer({ keepAliveTimeout: 1000 }, handler);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, host, () => resolve());
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

export function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

/** The body, cut where it is longer than `most`. */
export async function readBody(request: IncomingMessage, most: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const body: AsyncIterable<Uint8Array> = request;
  for await (const chunk of body) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > most) break;
  }
  return Buffer.concat(chunks);
}
