import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { type AddressInfo, connect, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createWebSocketHub, type WebSocketHub } from '../../../protocol/bindings/websocket-server.ts';
import { nodeClock, nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import { makeCertificate } from '../../doubles/certificate.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const PROGRAM = join(import.meta.dirname, '../../doubles/wss-process.ts');
const run = promisify(execFile);

let directory: string;
let hub: WebSocketHub;
let front: Server;
let proxy: HttpServer;
let certificate: string;
/** What the proxy was asked for. */
const asked: string[] = [];

beforeAll(async () => {
  directory = await temporaryDirectory('wss');
  hub = createWebSocketHub({
    host: '127.0.0.1',
    port: 0,
    services: new Map(),
    clock: nodeClock,
    random: nodeRandom,
    log: silentLog,
  });
  await hub.start();
  const files = makeCertificate(directory);
  ({ certificate } = files);
  const tls = { cert: await readFile(files.certificate), key: await readFile(files.key) };
  front = createTlsServer(tls, (socket) => splice(socket, connect(hub.address().port, '127.0.0.1')));
  proxy = createHttpServer().on('connect', ({ url = '' }, socket: Socket) => {
    asked.push(url);
    socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
    splice(socket, connect(portOf(front), '127.0.0.1'));
  });
  for (const server of [front, proxy]) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
});

afterAll(async () => {
  await hub.stop();
  front.close();
  proxy.close();
  await removeDirectory(directory);
});

beforeEach(() => void asked.splice(0));

function splice(one: Socket, other: Socket): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.on('error', () => to.destroy()).on('close', () => to.destroy());
    from.pipe(to);
  }
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

/** The word that the program ends with. */
async function connected(host: string, environment: NodeJS.ProcessEnv): Promise<string> {
  const url = `wss://${host}:${portOf(front)}/bus`;
  const env = { PATH: process.env['PATH'], ...environment };
  return (await run(process.execPath, ['--no-warnings', PROGRAM, url], { env })).stdout;
}

describe('a bus behind TLS', () => {
  it.each([
    ['nobody vouches for', 'localhost', false, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    ['is for another name', '127.0.0.1', true, 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['is of an authority that the operator names', 'localhost', true, 'up'],
  ])('with a certificate that %s', async (_what, host, isNamed, end) => {
    expect(await connected(host, isNamed ? { NODE_EXTRA_CA_CERTS: certificate } : {})).toBe(end);
  });

  it('is reached through the proxy that the environment names, and past it where that says so', async () => {
    const through = {
      NODE_EXTRA_CA_CERTS: certificate,
      NODE_USE_ENV_PROXY: '1',
      HTTPS_PROXY: `http://127.0.0.1:${portOf(proxy)}`,
    };
    expect(await connected('localhost', through)).toBe('up');
    expect(asked).toEqual([`localhost:${portOf(front)}`]);
    expect(await connected('localhost', { ...through, NO_PROXY: 'localhost' })).toBe('up');
    expect(asked).toHaveLength(1);
    // The proxy sees that there is a connection, and can be nobody's bus.
    expect(await connected('localhost', { ...through, NODE_EXTRA_CA_CERTS: '' })).toBe(
      'DEPTH_ZERO_SELF_SIGNED_CERT',
    );
  });
});
