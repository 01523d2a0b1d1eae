import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The operator's face of the Data Bridge, in memory: inputs go in, results come out. */
export interface OperatorBridge {
  readonly url: string;
  readonly token: string;
  /** By digest. */
  readonly inputs: ReadonlyMap<string, Buffer>;
  /** A file of a committed result; answers it as a manifest names it. */
  addResult(
    job: string,
    attempt: number,
    name: string,
    bytes: Uint8Array,
  ): { readonly name: string; readonly size: number; readonly sha256: string; readonly md5: string };
  /** Every call is refused with 503 until it is said again. */
  setDown(isDown: boolean): void;
  stop(): Promise<void>;
}

export async function startOperatorBridge(): Promise<OperatorBridge> {
  const inputs = new Map<string, Buffer>();
  const results = new Map<string, Buffer>();
  const token = 'operator-token-of-the-test';
  let isDown = false;
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '');
    const refuse = (status: number): void => void response.writeHead(status).end();
    if (request.headers.authorization !== `Bearer ${token}`) return refuse(401);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (isDown) return refuse(503);
      if (request.method === 'GET') {
        const bytes = results.get(path);
        if (bytes === undefined) return refuse(404);
        return void response.writeHead(200).end(bytes);
      }
      const bytes = Buffer.concat(chunks);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      if (path !== `/v1/inputs/${sha256}`) return refuse(400);
      const status = inputs.has(sha256) ? 200 : 201;
      inputs.set(sha256, bytes);
      return refuse(status);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token,
    inputs,
    addResult(job, attempt, name, bytes) {
      results.set(`/v1/results/${job}/${attempt}/${name}`, Buffer.from(bytes));
      const digest = (algorithm: string): string => createHash(algorithm).update(bytes).digest('hex');
      return { name, size: bytes.length, sha256: digest('sha256'), md5: digest('md5') };
    },
    setDown(next) {
      isDown = next;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
