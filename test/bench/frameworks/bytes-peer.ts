/** A Data Bridge in a process of its own that takes every input and has every result. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { servePeer } from '../serve-peer.ts';
import { contentOf } from './stored-bytes.ts';

export interface BytesQuestions {
  /** Its address. */
  start(nothing: null): Promise<string>;
}

const server = createServer((request, response) => {
  const body = request.method === 'GET' ? contentOf(decodeURIComponent(request.url ?? '')) : '';
  request.resume().once('end', () => response.end(body));
});

servePeer<BytesQuestions>({ start }, async () => {
  server.close();
  server.closeAllConnections();
});

async function start(): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
