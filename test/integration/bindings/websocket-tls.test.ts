import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type AddressInfo, connect, type Server } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createWebSocketHub, type WebSocketHub } from '../../../protocol/bindings/websocket-server.ts';
import { nodeClock, nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import { makeCertificate } from '../../doubles/certificate.ts';
import { type ConnectProxy, openConnectProxy, splice } from '../../doubles/connect-proxy.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const PROGRAM = join(import.meta.dirname, '../../doubles/wss-process.ts');
const run = promisify(execFile);

let directory: string;
let hub: WebSocketHub;
let front: Server;
let proxy: ConnectProxy;
let certificate: string;

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
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
});

afterAll(async () => {
  await hub.stop();
  front.close();
  await removeDirectory(directory);
});

beforeEach(async () => {
  proxy = await openConnectProxy();
  proxy.leadTo(portOf(front));
});
afterEach(() => proxy.close());

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
      HTTPS_PROXY: proxy.url,
    };
    expect(await connected('localhost', through)).toBe('up');
    expect(proxy.asked).toMatchObject([{ place: `localhost:${portOf(front)}` }]);
    expect(await connected('localhost', { ...through, NO_PROXY: 'localhost' })).toBe('up');
    expect(proxy.asked).toHaveLength(1);
    // The proxy sees that there is a connection, and can be nobody's bus.
    expect(await connected('localhost', { ...through, NODE_EXTRA_CA_CERTS: '' })).toBe(
      'DEPTH_ZERO_SELF_SIGNED_CERT',
    );
  });
});
