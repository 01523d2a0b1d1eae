import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';

/** A TCP proxy on the loopback interface that can break what goes through it. */
export interface FaultProxy {
  readonly port: number;
  /** Where connections go from now on. */
  target(port: number): void;
  /** Each of the next connections is cut once so many bytes went that way. */
  cutNext(direction: 'up' | 'down', ...afterBytes: readonly number[]): void;
  /** Cuts every connection there is. */
  cutAll(): void;
  /** The next chunk that goes up with this text in it is the last of its connection: it passes and nobody hears what became of it, or is lost. */
  cutAt(text: string, fate: 'passes' | 'lost'): void;
  /** Swallows whatever is sent either way, on connections there are and on new ones, or lets it pass again on new ones. */
  stall(isStalled: boolean): void;
  /** Connections made so far. */
  connections(): number;
  /** Ends every connection and takes no other; idempotent. */
  close(): Promise<void>;
}

export async function openFaultProxy(): Promise<FaultProxy> {
  const sockets = new Set<Socket>();
  const cuts: { readonly direction: 'up' | 'down'; readonly afterBytes: number }[] = [];
  let last: { readonly text: string; readonly fate: 'passes' | 'lost' } | undefined;
  let isStalled = false;
  let targetPort = 0;
  let connections = 0;
  const server = createServer((client) => {
    connections++;
    if (isStalled) {
      sockets.add(client);
      client.on('error', () => undefined).on('close', () => sockets.delete(client));
      return;
    }
    const cut = cuts.shift();
    const upstream = connect(targetPort, '127.0.0.1');
    const end = (): void => {
      client.destroy();
      upstream.destroy();
    };
    const isLast = (chunk: Uint8Array): 'passes' | 'lost' | undefined => {
      if (last === undefined || !Buffer.from(chunk).includes(last.text)) return undefined;
      const { fate } = last;
      last = undefined;
      return fate;
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', end).on('close', () => {
        sockets.delete(socket);
        end();
      });
    }
    forward(client, upstream, cut?.direction === 'up' ? cut.afterBytes : Infinity, end, isLast);
    forward(upstream, client, cut?.direction === 'down' ? cut.afterBytes : Infinity, end);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return {
    port: address.port,
    target: (port) => void (targetPort = port),
    cutAt: (text, fate) => void (last = { text, fate }),
    cutNext: (direction, ...afterBytes) =>
      void cuts.push(...afterBytes.map((bytes) => ({ direction, afterBytes: bytes }))),
    cutAll() {
      for (const socket of sockets) socket.destroy();
    },
    stall(stalled) {
      isStalled = stalled;
      if (stalled) for (const socket of sockets) socket.removeAllListeners('data').resume();
    },
    connections: () => connections,
    async close() {
      if (!server.listening) return;
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}

function forward(
  from: Socket,
  to: Socket,
  bytes: number,
  end: () => void,
  isLast: (chunk: Uint8Array) => 'passes' | 'lost' | undefined = () => undefined,
): void {
  let left = bytes;
  from.on('data', (chunk: Uint8Array) => {
    const fate = isLast(chunk);
    if (fate === 'lost') return end();
    if (fate === 'passes') {
      // Its connection ends when the server is done with it.
      to.removeAllListeners('data').resume();
      return void to.end(chunk);
    }
    const passed = chunk.subarray(0, left);
    left -= chunk.length;
    if (left < 0) to.end(passed, end);
    else if (!to.write(passed)) {
      from.pause();
      to.once('drain', () => from.resume());
    }
  });
}
