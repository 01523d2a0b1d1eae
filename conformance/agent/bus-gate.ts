import { createServer, connect, type Server, type Socket } from 'node:net';

/** Stands between an agent and the hub: sees how it connects, cuts and holds its connections. */
export interface BusGate {
  readonly port: number;
  /** Heads of the requests that came, oldest first. */
  readonly upgrades: readonly string[];
  /** When each connection began, on the monotonic clock. */
  readonly connectedMs: readonly number[];
  readonly openConnections: number;
  /** Ends every connection at once. */
  cut(): void;
  /** From now on connections are refused as soon as they come, until it is opened again. */
  refuse(isRefusing: boolean): void;
  /** From now on nothing passes from the hub, though the connections stay. */
  hold(): void;
  close(): Promise<void>;
}

const MAX_HEAD_BYTES = 16 * 1024;
const HOST = '127.0.0.1';

export async function openBusGate(hubPort: () => number): Promise<BusGate> {
  const upgrades: string[] = [];
  const connectedMs: number[] = [];
  const sockets = new Set<Socket>();
  let isRefusing = false;
  let isHeld = false;
  const server = createServer((client) => {
    if (isRefusing) {
      client.destroy();
      return;
    }
    connectedMs.push(performance.now());
    recordHead(client, upgrades);
    const hub = connect(hubPort(), HOST);
    for (const [socket, other] of [
      [client, hub],
      [hub, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    client.on('data', (chunk) => hub.write(chunk));
    hub.on('data', (chunk) => {
      if (!isHeld) client.write(chunk);
    });
  });
  const port = await listen(server);
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port,
    upgrades,
    connectedMs,
    get openConnections() {
      return sockets.size / 2;
    },
    cut,
    refuse(refusing) {
      isRefusing = refusing;
    },
    hold() {
      isHeld = true;
    },
    close() {
      cut();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** The request a WebSocket begins with. */
function recordHead(client: Socket, upgrades: string[]): void {
  let head = '';
  const onData = (chunk: Uint8Array): void => {
    head += Buffer.from(chunk).toString('latin1');
    const end = head.indexOf('\r\n\r\n');
    if (end < 0 && head.length < MAX_HEAD_BYTES) return;
    client.off('data', onData);
    upgrades.push(end < 0 ? head : head.slice(0, end));
  };
  client.on('data', onData);
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, HOST, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}
