import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename } from 'node:path';
import { adler32, adler32Hex } from '../../../protocol/adler32.ts';
import type { StoredFile } from '../../../protocol/generated/types.ts';

const OUTPUT = Buffer.alloc(1024, 'x');

/** Files that an adapter reads to know how its payload ended; every other output is 1 KB of nothing. */
const CONTENTS: Readonly<Record<string, Buffer>> = {
  'jobReport.json': Buffer.from(JSON.stringify({ exitCode: 0, steps: { cmsRun: { output: {} } } })),
  'wrapper-status.txt': Buffer.from('0\n'),
};

function contentOf(name: string): Buffer {
  return CONTENTS[basename(name)] ?? OUTPUT;
}

const measured = new Map<string, StoredFile>();

/** An output as storage has it; measured once, for storage does that, not the adapter. */
export function storedFile(name: string): StoredFile {
  const known = measured.get(name) ?? measure(name);
  measured.set(name, known);
  return known;
}

function measure(name: string): StoredFile {
  const content = contentOf(name);
  const digest = (algorithm: string): string => createHash(algorithm).update(content).digest('hex');
  const sum = adler32Hex(adler32(content));
  return { name, size: content.length, sha256: digest('sha256'), md5: digest('md5'), adler32: sum };
}

/** A Data Bridge that takes every input and has every result. */
export async function startByteStore(): Promise<{ readonly url: string; stop(): void }> {
  const server = createServer((request, response) => {
    const body = request.method === 'GET' ? contentOf(decodeURIComponent(request.url ?? '')) : '';
    request.resume().once('end', () => response.end(body));
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
