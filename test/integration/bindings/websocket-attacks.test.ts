import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ClientOptions, WebSocket, WebSocketServer } from 'ws';
import { type Address, BROKER_ADDRESS, MAX_FRAME_BYTES } from '../../../protocol/bindings/bus.ts';
import { createWebSocketClient } from '../../../protocol/bindings/websocket-client.ts';
import {
  createWebSocketHub,
  type HubLimits,
  type WebSocketHub,
} from '../../../protocol/bindings/websocket-server.ts';
import { nodeClock, nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import type { Clock } from '../../../protocol/runtime/runtime.ts';
import { silentLog } from '../../doubles/silent-log.ts';

const DEADLINE = { timeout: 10_000, interval: 5 };
/** How often a client looks for signs of life. */
const WATCH_MS = 15_000;
const SECRET = 'a-secret-of-the-storage-adapter';
const shared = { clock: nodeClock, random: nodeRandom, log: silentLog };
const bytes = (what: string) => new TextEncoder().encode(what);
const code = (expected: string) => expect.objectContaining({ code: expected });

interface Seen {
  readonly from: Address;
  readonly text: string;
}

let hub: WebSocketHub;
let seen: Seen[];
let gone: Address[];
let clients: WebSocket[];

async function startHub(limits: Partial<HubLimits> = {}): Promise<void> {
  hub = createWebSocketHub({
    host: '127.0.0.1',
    port: 0,
    services: new Map([['storage', SECRET]]),
    ...shared,
    limits,
  });
  hub.onFrame((from, frame) => void seen.push({ from, text: Buffer.from(frame).toString() }));
  hub.onGone((address) => gone.push(address));
  await hub.start();
}

/** A connection as an attacker makes it, without our client's manners. */
function raw(query = '', options: ClientOptions = {}): WebSocket {
  const socket = new WebSocket(`ws://127.0.0.1:${hub.address().port}/${query}`, {
    perMessageDeflate: false,
    ...options,
  });
  socket.on('error', () => undefined);
  clients.push(socket);
  return socket;
}

async function opened(query = '', options: ClientOptions = {}): Promise<WebSocket> {
  const socket = raw(query, options);
  await once(socket, 'open');
  return socket;
}

const closeCode = async (socket: WebSocket): Promise<number> => {
  const [closedWith]: unknown[] = await once(socket, 'close');
  return Number(closedWith);
};

/** The status a connection is refused with, or `open`. */
function outcome(socket: WebSocket): Promise<number | 'open'> {
  return new Promise((resolve) => {
    socket.on('open', () => resolve('open'));
    socket.on('unexpected-response', (request, response) => {
      request.destroy();
      resolve(response.statusCode ?? 0);
    });
  });
}

async function expectServing(): Promise<void> {
  const socket = await opened();
  socket.send(bytes('still served'));
  await vi.waitFor(() => expect(seen.some(({ text }) => text === 'still served')).toBe(true), DEADLINE);
}

beforeEach(() => {
  seen = [];
  gone = [];
  clients = [];
});
afterEach(async () => {
  for (const socket of clients) socket.terminate();
  await hub.stop();
});

describe('what a client sends', () => {
  it('over the bound closes its connection with 1009, in one piece or in many; others are served', async () => {
    await startHub();
    const whole = await opened();
    whole.send(new Uint8Array(MAX_FRAME_BYTES + 1));
    expect(await closeCode(whole)).toBe(1009);
    const pieces = await opened();
    for (let piece = 0; piece < 40; piece++) pieces.send(new Uint8Array(1024), { fin: false });
    expect(await closeCode(pieces)).toBe(1009);
    expect(seen).toEqual([]);
    await expectServing();
  });

  it('in a thousand tiny pieces closes its connection: one frame costs no unbounded list', async () => {
    await startHub();
    const socket = await opened();
    for (let piece = 0; piece < 1000; piece++) socket.send(new Uint8Array(1), { fin: false });
    expect(await closeCode(socket)).toBe(1008);
    await expectServing();
  });

  it('as text closes its connection with 1003', async () => {
    await startHub();
    const socket = await opened();
    socket.send('{"kind":"request"}');
    expect(await closeCode(socket)).toBe(1003);
    expect(seen).toEqual([]);
    await expectServing();
  });

  it('in a flood is slowed down to the rate, not dropped, and does not slow others', async () => {
    await startHub({ rate: { perSecond: 200, burst: 50 } });
    const flooder = await opened();
    const startedMs = nodeClock.monotonicMs();
    for (let at = 0; at < 150; at++) flooder.send(bytes(`flood ${at}`));
    await expectServing();
    expect(seen.length).toBeLessThan(150);
    await vi.waitFor(() => expect(seen).toHaveLength(151), DEADLINE);
    expect(nodeClock.monotonicMs() - startedMs).toBeGreaterThanOrEqual(450);
    expect(new Set(seen.map(({ text }) => text)).size).toBe(151);
  });

  it('as a flood of pings counts against its rate', async () => {
    await startHub({ rate: { perSecond: 100, burst: 10 } });
    const socket = await opened();
    const startedMs = nodeClock.monotonicMs();
    for (let at = 0; at < 50; at++) socket.ping();
    socket.send(bytes('after the pings'));
    await vi.waitFor(() => expect(seen).toHaveLength(1), DEADLINE);
    expect(nodeClock.monotonicMs() - startedMs).toBeGreaterThanOrEqual(300);
  });

  it('reaches the broker and nobody else, under an address the hub gave', async () => {
    await startHub();
    const [one, other] = [await opened(), await opened()];
    other.on('message', () => expect.unreachable());
    one.send(bytes('hello'));
    await vi.waitFor(() => expect(seen).toHaveLength(1), DEADLINE);
    expect(seen[0]?.from).toMatch(/^peer-[0-9a-f]{16}$/);
    other.send(bytes('hello'));
    await vi.waitFor(() => expect(seen).toHaveLength(2), DEADLINE);
    expect(seen[1]?.from).not.toBe(seen[0]?.from);
  });
});

describe('who may be a service', () => {
  const bearer = (secret: string): ClientOptions => ({ headers: { authorization: `Bearer ${secret}` } });

  it.each<[string, string, ClientOptions]>([
    ['a wrong secret', '?service=storage', bearer('not-the-secret-of-the-storage')],
    ['the beginning of the secret', '?service=storage', bearer(SECRET.slice(0, -1))],
    ['no secret', '?service=storage', {}],
    ['an empty secret', '?service=storage', bearer('')],
    ['another scheme', '?service=storage', { headers: { authorization: `Basic ${SECRET}` } }],
    ['a name nobody has', '?service=jobs', bearer(SECRET)],
    ['a name of the language', '?service=__proto__', bearer(SECRET)],
    ['the text compared with where there is no such name', '?service=nobody', bearer('no such service')],
    ['the right secret under no name', '', bearer(SECRET)],
    ['the broker’s own name', '?service=broker', bearer(SECRET)],
  ])('%s is answered 401', async (_what, query, options) => {
    await startHub();
    expect(await outcome(raw(query, options))).toBe(401);
    expect(hub.connectionCount).toBe(0);
  });

  it('the right secret gives the service’s address, whose frames go both ways', async () => {
    await startHub();
    const service = createWebSocketClient({
      url: `ws://127.0.0.1:${hub.address().port}`,
      service: 'storage',
      secret: SECRET,
      ...shared,
    });
    const received: string[] = [];
    service.onFrame((_from, frame) => void received.push(Buffer.from(frame).toString()));
    await service.start();
    await service.send(BROKER_ADDRESS, bytes('up'));
    await hub.send('service.storage', bytes('down'));
    await vi.waitFor(
      () => expect([seen, received]).toEqual([[{ from: 'service.storage', text: 'up' }], ['down']]),
      DEADLINE,
    );
    await service.stop();
  });

  it('our client says at once that its secret is wrong', async () => {
    await startHub();
    const service = createWebSocketClient({
      url: `ws://127.0.0.1:${hub.address().port}`,
      service: 'storage',
      secret: 'wrong',
      ...shared,
    });
    await expect(service.start()).rejects.toEqual(code('NOT_AUTHORIZED'));
    await service.stop();
  });

  it('a second connection of a service replaces the first, whose sessions are told to be gone', async () => {
    await startHub();
    const first = await opened('?service=storage', bearer(SECRET));
    const closed = closeCode(first);
    const second = await opened('?service=storage', bearer(SECRET));
    expect(await closed).toBe(4000);
    expect(gone).toEqual(['service.storage']);
    const received = once(second, 'message');
    await hub.send('service.storage', bytes('for the second'));
    expect(String((await received)[0])).toBe('for the second');
    expect(hub.connectionCount).toBe(1);
  });

  it.each([
    ['a short secret', new Map([['storage', 'short']])],
    ['a name that is no name', new Map([['../storage', SECRET]])],
  ])('%s is refused when the hub is made', (_what, services) => {
    expect(() => createWebSocketHub({ host: '127.0.0.1', port: 0, services, ...shared })).toThrow(
      code('INTERNAL'),
    );
  });
});

describe('how many there may be', () => {
  it('a thousand connections over the bound are told 503, those within are served, a service still gets in', async () => {
    await startHub({ connections: 20 });
    const within = await Promise.all(Array.from({ length: 20 }, () => outcome(raw())));
    expect(within.every((result) => result === 'open')).toBe(true);
    // In groups: past the room above the bound the kernel's answer is a reset instead of a 503.
    for (let group = 0; group < 10; group++) {
      const beyond = await Promise.all(Array.from({ length: 100 }, () => outcome(raw())));
      expect(new Set(beyond)).toEqual(new Set([503]));
    }
    expect(hub.connectionCount).toBe(20);
    expect(await outcome(raw('?service=storage', { headers: { authorization: `Bearer ${SECRET}` } }))).toBe(
      'open',
    );
    clients[0]!.send(bytes('served'));
    await vi.waitFor(() => expect(seen).toHaveLength(1), DEADLINE);
  });

  it('one remote address has a bound of its own where that is wished, and gets room back', async () => {
    await startHub({ connectionsPerIp: 3, limitLoopback: true });
    const open = [await opened(), await opened(), await opened()];
    expect(await outcome(raw())).toBe(429);
    open[0]!.terminate();
    await vi.waitFor(() => expect(hub.connectionCount).toBe(2), DEADLINE);
    expect(await outcome(raw())).toBe('open');
  });
});

describe('who does not read or answer', () => {
  it('a reader too slow is disconnected before it fills the memory', async () => {
    await startHub({ bufferedBytes: 256 * 1024 });
    const reader = await opened();
    reader.send(bytes('here I am'));
    await vi.waitFor(() => expect(seen).toHaveLength(1), DEADLINE);
    reader.pause();
    const address = seen[0]!.from;
    const flood = async (): Promise<void> => {
      for (let sent = 0; sent < 4000; sent++) await hub.send(address, new Uint8Array(32 * 1024));
    };
    await expect(flood()).rejects.toEqual(code('UNREACHABLE'));
    await vi.waitFor(() => expect(gone).toEqual([address]), DEADLINE);
    await expectServing();
  });

  it('a peer that is dead is noticed by its missing pong, one that lives is kept', async () => {
    await startHub({ pingEveryMs: 100 });
    const dead = await opened('', { autoPong: false });
    const alive = await opened();
    alive.send(bytes('alive'));
    expect(await closeCode(dead)).toBe(1006);
    await vi.waitFor(() => expect(gone).toHaveLength(1), DEADLINE);
    expect(gone).not.toContain(seen[0]!.from);
    expect(alive.readyState).toBe(WebSocket.OPEN);
  });

  it('a peer that ignores the closing does not keep the hub from stopping', async () => {
    await startHub();
    const stubborn = await opened();
    stubborn.pause();
    await hub.stop();
    expect(hub.connectionCount).toBe(0);
  });
});

describe('what is no WebSocket', () => {
  it.each(['GET', 'POST', 'PUT', 'OPTIONS'])('%s is answered 426', async (method) => {
    await startHub();
    const response = await fetch(`http://127.0.0.1:${hub.address().port}/`, { method });
    await response.text();
    expect([response.status, response.headers.get('upgrade')]).toEqual([426, 'websocket']);
  });

  it.each([
    ['garbage', '\u0000\u0001\u0002 not HTTP at all\r\n\r\n'],
    ['headers without end', `GET / HTTP/1.1\r\n${'X-Filler: y\r\n'.repeat(2000)}`],
    [
      'an upgrade to something else',
      'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n',
    ],
    [
      'an upgrade without a key',
      'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n',
    ],
    [
      'a target that is no URL',
      'GET //?service=%E0%A4%A HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    ],
  ])('%s is cut off, and others are served', async (_what, text) => {
    await startHub();
    const socket = connect(hub.address().port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.resume();
    socket.write(text);
    await once(socket, 'close');
    await expectServing();
  });
});

describe('a port', () => {
  it('that is taken is refused with PORT_TAKEN, and the message names it', async () => {
    await startHub();
    const { port } = hub.address();
    const second = createWebSocketHub({ host: '127.0.0.1', port, services: new Map(), ...shared });
    await expect(second.start()).rejects.toMatchObject({
      code: 'PORT_TAKEN',
      message: expect.stringContaining(`127.0.0.1:${port}`),
    });
    await second.stop();
    await expectServing();
  });
});

describe('our client against a hostile hub', () => {
  it('survives redirections, garbage, text and oversize frames, and connects when the hub behaves', async () => {
    await startHub();
    const { port } = hub.address();
    await hub.stop();
    let upgrades = 0;
    const upgrader = new WebSocketServer({ noServer: true });
    const hostile = createServer().listen(port, '127.0.0.1');
    hostile.on('upgrade', (request, socket, head) => {
      upgrades++;
      socket.on('error', () => undefined);
      if (upgrades === 1) socket.end('HTTP/1.1 301 Moved\r\nLocation: ws://127.0.0.1:1/\r\n\r\n');
      else if (upgrades === 2) socket.end('not HTTP\r\n\r\n');
      else
        upgrader.handleUpgrade(request, socket, head, (peer) => {
          peer.on('error', () => undefined);
          peer.send('text is no frame');
          peer.send(new Uint8Array(MAX_FRAME_BYTES + 1));
        });
    });
    await once(hostile, 'listening');
    const states: string[] = [];
    const client = createWebSocketClient({ url: `ws://127.0.0.1:${port}`, ...shared });
    client.onFrame(() => expect.unreachable());
    client.onConnection((state) => states.push(state));
    await client.start();
    await vi.waitFor(() => expect(states).toEqual(['up', 'down']), DEADLINE);
    expect(upgrades).toBe(3);
    upgrader.close();
    hostile.closeAllConnections();
    hostile.close();
    await once(hostile, 'close');
    hub = createWebSocketHub({ host: '127.0.0.1', port, services: new Map(), ...shared });
    hub.onFrame((from, frame) => void seen.push({ from, text: Buffer.from(frame).toString() }));
    await hub.start();
    await vi.waitFor(() => expect(states).toEqual(['up', 'down', 'up']), DEADLINE);
    await client.send(BROKER_ADDRESS, bytes('at last'));
    await vi.waitFor(() => expect(seen.map(({ text }) => text)).toEqual(['at last']), DEADLINE);
    await client.stop();
  });

  it.each([
    ['serves and is lost again and again: each time it is back within a second', true, 0, 1000],
    ['takes connections only to drop them: each time it waits longer', false, 4000, 15_000],
  ])('that %s', async (_name, serves, leastMs, mostMs) => {
    await startHub(); // only so that there is one to stop
    const waits: number[] = [];
    const clock: Clock = {
      ...nodeClock,
      schedule(delayMs, action) {
        waits.push(delayMs);
        return nodeClock.schedule(delayMs / 50, action);
      },
    };
    const peers = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    let connections = 0;
    peers.on('connection', (peer) => {
      connections++;
      if (!serves) peer.terminate();
      else peer.on('message', () => peer.send(bytes('an answer'), () => peer.close()));
    });
    await once(peers, 'listening');
    const address = peers.address();
    if (address === null || typeof address === 'string') throw new Error('the peer listens nowhere');
    const client = createWebSocketClient({ url: `ws://127.0.0.1:${address.port}`, ...shared, clock });
    client.onConnection((state) => {
      if (state === 'up') void client.send(BROKER_ADDRESS, bytes('a question')).catch(() => undefined);
    });
    await client.start();
    await vi.waitFor(() => expect(connections).toBeGreaterThanOrEqual(8), DEADLINE);
    const last = waits.filter((waitMs) => waitMs !== WATCH_MS).slice(5, 7);
    await client.stop();
    peers.close();
    await once(peers, 'close');
    expect(last).toHaveLength(2);
    expect(Math.min(...last)).toBeGreaterThanOrEqual(leastMs);
    expect(Math.max(...last)).toBeLessThanOrEqual(mostMs);
  });
});

describe('a client that is not served any more', () => {
  it('is disconnected, and the others are not', async () => {
    await startHub();
    const [one, other] = [await opened(), await opened()];
    one.send(bytes('one'));
    await vi.waitFor(() => expect(seen).toHaveLength(1), DEADLINE);
    hub.disconnect(seen[0]!.from);
    const [why] = await once(one, 'close');
    expect(why).toBe(1008);
    expect(gone).toEqual([seen[0]!.from]);
    other.send(bytes('other'));
    await vi.waitFor(() => expect(seen.map(({ text }) => text)).toEqual(['one', 'other']), DEADLINE);
  });

  it('is none of the adapters, and nobody who is gone', async () => {
    await startHub();
    const adapter = await opened('?service=storage', { headers: { authorization: `Bearer ${SECRET}` } });
    hub.disconnect('service.storage');
    hub.disconnect('peer-nobody');
    adapter.send(bytes('here'));
    await vi.waitFor(() => expect(seen.map(({ text }) => text)).toEqual(['here']), DEADLINE);
  });
});
