import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { StoredFile } from '../../../protocol/generated/types.ts';

const CONTENT = Buffer.alloc(1024, 'x');
const digest = (algorithm: string): string => createHash(algorithm).update(CONTENT).digest('hex');

/** One output of 1 KB, as storage has it. */
export function storedFile(name: string): StoredFile {
  return {
    name,
    size: CONTENT.length,
    sha256: digest('sha256'),
    md5: digest('md5'),
    adler32: ADLER.toString(16).padStart(8, '0'),
  };
}

const ADLER = adlerOf(CONTENT);

function adlerOf(bytes: Uint8Array): number {
  let [a, b] = [1, 0];
  for (const byte of bytes) {
    a = (a + byte) % 65_521;
    b = (b + a) % 65_521;
  }
  return b * 65_536 + a;
}

/** A Data Bridge that takes every input and has the one output for every result. */
export async function startByteStore(): Promise<{ readonly url: string; stop(): void }> {
  const server = createServer((request, response) => {
    request.resume().once('end', () => response.end(request.method === 'GET' ? CONTENT : ''));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
