import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Envelopes } from './envelopes.ts';

/** A storage over HTTP that takes a file once, and only with an envelope for it. */
export interface StorageDouble {
  readonly url: string;
  /** MD5 of what is at an address. */
  stored(turl: string): string | undefined;
  bytes(turl: string): Buffer | undefined;
  put(turl: string, bytes: Uint8Array): void;
  /** Every upload is refused from now on. */
  setFull(isFull: boolean): void;
  stop(): Promise<void>;
}

export async function startStorageDouble(envelopes: () => Envelopes): Promise<StorageDouble> {
  const files = new Map<string, Buffer>();
  let isFull = false;
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', url());
    const turl = `${url()}${pathname}`;
    const ticket = envelopes().open(searchParams.get('authz') ?? '');
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const end = (status: number, body?: Buffer): void => void response.writeHead(status).end(body);
      if (ticket?.turl !== turl) return end(403);
      if (request.method === 'GET') return end(files.has(turl) ? 200 : 404, files.get(turl));
      if (isFull) return end(507);
      if (ticket.access !== 'write-once' || files.has(turl)) return end(403);
      files.set(turl, Buffer.concat(chunks));
      return end(201);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  function url(): string {
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }
  return {
    url: url(),
    stored(turl) {
      const bytes = files.get(turl);
      return bytes && createHash('md5').update(bytes).digest('hex');
    },
    bytes: (turl) => files.get(turl),
    put(turl, bytes) {
      files.set(turl, Buffer.from(bytes));
    },
    setFull(next) {
      isFull = next;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
