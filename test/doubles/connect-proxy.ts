import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

/** An HTTP proxy that knows CONNECT alone. */
export interface ConnectProxy {
  readonly url: string;
  /** What it was asked for, by `host:port`, with what was shown for it. */
  readonly asked: readonly { readonly place: string; readonly login: string | undefined }[];
  /** Leads everything to this port of the loopback interface, wherever it was to go. */
  leadTo(port: number): void;
  /** Answers so from now on. */
  answer(status: string | undefined): void;
  cutAll(): void;
  close(): Promise<void>;
}

export async function openConnectProxy(): Promise<ConnectProxy> {
  const asked: { readonly place: string; readonly login: string | undefined }[] = [];
  const sockets = new Set<Socket>();
  let target = 1;
  let answer: string | undefined = '200 Connection established';
  const server = createServer().on('connect', ({ url = '', headers }, socket: Socket) => {
    asked.push({ place: url, login: headers['proxy-authorization'] });
    keep(socket);
    if (answer !== undefined) socket.write(`HTTP/1.1 ${answer}\r\n\r\n`);
    if (answer?.startsWith('200') !== true) return;
    const other = connect(target, '127.0.0.1');
    keep(other);
    splice(socket, other);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  function keep(socket: Socket): void {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  }

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    leadTo: (port) => void (target = port),
    answer: (status) => void (answer = status),
    cutAll: () => sockets.forEach((socket) => socket.destroy()),
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Two sockets as one; what ends the one ends the other. */
export function splice(one: Socket, other: Socket): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.on('error', () => to.destroy()).on('close', () => to.destroy());
    from.pipe(to);
  }
}
