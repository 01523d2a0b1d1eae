import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { adler32, adler32Hex } from '../../protocol/adler32.ts';

/** What the trusted side sees of a Data Bridge: inputs by digest, results by attempt; in memory. */
export interface SmallBridge {
  readonly access: { readonly url: string; readonly token: string };
  /** By SHA-256. */
  readonly inputs: ReadonlyMap<string, Buffer>;
  /** Leaves a file of a committed result, and says of it what storage says. */
  leave(job: string, attempt: number, name: string, content: string | Uint8Array): LeftFile;
  /** Nobody is answered while it is down. */
  isDown: boolean;
  stop(): Promise<void>;
}

export interface LeftFile {
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
  readonly md5: string;
  readonly adler32: string;
}

export async function startSmallBridge(token = 'operator-token-of-the-test'): Promise<SmallBridge> {
  const inputs = new Map<string, Buffer>();
  const results = new Map<string, Buffer>();
  const server = createServer((request, response) => {
    const { url = '', method } = request;
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (bridge.isDown) return void response.writeHead(503).end();
      if (request.headers.authorization !== `Bearer ${token}`) return void response.writeHead(403).end();
      const input = /^\/v1\/inputs\/([0-9a-f]{64})$/.exec(url)?.[1];
      if (method === 'PUT' && input !== undefined) {
        const body = Buffer.concat(chunks);
        const isRight = createHash('sha256').update(body).digest('hex') === input;
        if (isRight) inputs.set(input, body);
        return void response.writeHead(isRight ? 201 : 400).end();
      }
      const found = results.get(url);
      response.writeHead(found === undefined ? 404 : 200, { 'content-length': found?.length ?? 0 });
      response.end(found);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bridge: SmallBridge = {
    access: { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token },
    inputs,
    isDown: false,
    leave(job, attempt, name, content) {
      const bytes = Buffer.from(content);
      results.set(`/v1/results/${job}/${attempt}/${name}`, bytes);
      const digest = (algorithm: string): string => createHash(algorithm).update(bytes).digest('hex');
      return {
        name,
        size: bytes.length,
        sha256: digest('sha256'),
        md5: digest('md5'),
        adler32: adler32Hex(adler32(bytes)),
      };
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return bridge;
}
