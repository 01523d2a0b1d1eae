/** What the bridge is compared with: a bare HTTP server that takes a file in and gives it out, with the same digests and the same sync. */
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { EXTRA_ALGORITHMS, startDigests } from '../../adapters/storage/bridge/digests.ts';
import { type Memory, memoryOf } from './memory.ts';
import { servePeer } from './serve-peer.ts';

export interface BareFileQuestions {
  /** Serves one file, whatever the URL says. */
  start(path: string): Promise<{ readonly url: string }>;
  memory(nothing: null): Promise<Memory>;
}

let server: Server | undefined;

servePeer<BareFileQuestions>({ start, memory: () => memoryOf(process.pid) }, async () => {
  server?.close();
  server?.closeAllConnections();
});

async function start(path: string): Promise<{ url: string }> {
  server = createServer((request, response) => {
    const served = request.method === 'PUT' ? take(path, request, response) : give(path, response);
    served.catch((caught: unknown) => response.destroy(caught instanceof Error ? caught : undefined));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

async function take(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const file = await open(path, 'w');
  const hash = startDigests(EXTRA_ALGORITHMS);
  const bytes: AsyncIterable<Uint8Array> = request;
  try {
    for await (const chunk of bytes) {
      hash.update(chunk);
      for (let at = 0; at < chunk.length; ) at += (await file.write(chunk, at)).bytesWritten;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  response.writeHead(201).end(JSON.stringify({ sha256: hash.sha256(), ...hash.extra() }));
}

async function give(path: string, response: ServerResponse): Promise<void> {
  await pipeline(createReadStream(path), response);
}
