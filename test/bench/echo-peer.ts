/** The bare library: a server that sends every frame back. */
import { WebSocketServer } from 'ws';
import { cpuMicroseconds, servePeer } from './serve-peer.ts';
import { HOST } from './stage.ts';

export interface EchoQuestions {
  start(nothing: null): Promise<{ readonly url: string }>;
  cpu(nothing: null): number;
}

let server: WebSocketServer | undefined;

servePeer<EchoQuestions>({ start, cpu: cpuMicroseconds }, async () => {
  for (const client of server?.clients ?? []) client.terminate();
  server?.close();
});

function start(): Promise<{ readonly url: string }> {
  return new Promise((resolve) => {
    const made = new WebSocketServer({ host: HOST, port: 0, perMessageDeflate: false });
    server = made;
    made.on('connection', (socket) => {
      socket.on('message', (data) => socket.send(data, { binary: true }));
    });
    made.once('listening', () => {
      const address = made.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      resolve({ url: `ws://${HOST}:${port}` });
    });
  });
}
