import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createNodeDisk } from '../../../adapters/storage/bridge/disk.ts';
import type { Disk } from '../../../adapters/storage/bridge/disk.ts';
import { digestField } from '../../../protocol/digest-field.ts';
import { createDpopProof } from '../../../protocol/dpop.ts';
import type { Capability } from '../../../protocol/generated/types.ts';
import { nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import type { Answer, BridgeWorld } from '../../doubles/bridge-world.ts';
import {
  attemptOf,
  crypto,
  fileOf,
  mintGet,
  mintPut,
  openBridgeWorld,
  putInput,
  send,
  sha256Of,
  someBytes,
} from '../../doubles/bridge-world.ts';

const bytes = someBytes(10_000);
let world: BridgeWorld;
const sockets = new Set<Socket>();
const limits = {
  idleMs: 400,
  headersMs: 400,
  minimumBytesPerSecond: 10_000,
  uploads: 6,
  uploadsPerAttempt: 4,
  connections: 12,
  downloads: 1,
  stopGraceMs: 100,
};

beforeEach(async () => {
  world = await openBridgeWorld({ limits });
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await world.close();
});

function dial(): Socket {
  const socket = connect(world.listeningPort(), '127.0.0.1');
  socket.on('error', () => undefined);
  sockets.add(socket);
  return socket;
}

/** Everything a connection says until it ends. */
async function allOf(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk) => (text += String(chunk)));
  await once(socket, 'close');
  return text;
}

/** The head of an upload, written by hand so that its body can be held back. */
async function beginPut(right: Capability, length = bytes.length): Promise<Socket> {
  await world.agent.head(right);
  const nonce = String((await world.agent.head(right)).headers['dpop-nonce']);
  const { pathname } = new URL(right.url);
  const proof = createDpopProof(crypto, nodeRandom, world.agent.key, {
    method: 'PUT',
    url: right.url,
    token: right.token,
    nonce,
    wallMs: 0,
  });
  const socket = dial();
  socket.write(
    `PUT ${pathname} HTTP/1.1\r\nHost: x\r\nAuthorization: DPoP ${right.token}\r\nDPoP: ${proof}\r\nContent-Length: ${length}\r\nRepr-Digest: ${digestField(sha256Of(bytes))}\r\n\r\n`,
  );
  return socket;
}

describe('slow senders', () => {
  it('of headers are cut off', async () => {
    const socket = dial();
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n');
    expect(await allOf(socket)).toMatch(/^(HTTP\/1.1 408|$)/);
  });

  it('that say nothing at all are cut off', async () => {
    expect(await allOf(dial())).toMatch(/^(HTTP\/1.1 408|$)/);
  });

  it('of a body are cut off (UPLOAD_STALLED), their bytes gone and their place free', async () => {
    const right = await mintPut(world, 'a');
    const socket = await beginPut(right);
    socket.write(bytes.subarray(0, 10));
    const answer = await allOf(socket);
    expect(answer).toMatch(/^HTTP\/1.1 408/);
    expect(answer).toContain('UPLOAD_STALLED');
    expect((await world.agent.put(right, bytes)).status).toBe(201);
  });

  it('that dribble are cut off too', async () => {
    const right = await mintPut(world, 'a');
    const socket = await beginPut(right);
    const dribble = setInterval(() => socket.write(Uint8Array.of(0)), 50);
    try {
      expect(await allOf(socket)).toContain('UPLOAD_STALLED');
    } finally {
      clearInterval(dribble);
    }
  });
});

describe('uploads at once', () => {
  const held = async (names: readonly string[], job?: string): Promise<void> => {
    for (const name of names) {
      const right = await mintPut(world, name, job === undefined ? {} : { job });
      await beginPut(right);
      await expect.poll(async () => (await world.agent.head(right)).code).toBe('UPLOAD_BUSY');
    }
  };

  it('of one file are one (UPLOAD_BUSY)', async () => {
    await held(['a']);
    expect(await world.agent.put(await mintPut(world, 'a'), bytes)).toMatchObject({
      status: 409,
      code: 'UPLOAD_BUSY',
    });
  });

  it('that collide by name are refused while the first is under way', async () => {
    await held(['a']);
    expect(await world.agent.put(await mintPut(world, 'A'), bytes)).toMatchObject({
      status: 409,
      code: 'NAME_COLLISION',
    });
  });

  it('that are ended by verify are told so (ATTEMPT_CLOSED), and do not count', async () => {
    const right = await mintPut(world, 'a');
    const socket = await beginPut(right);
    socket.write(bytes.subarray(0, 9_999));
    await expect.poll(async () => (await world.agent.head(right)).code).toBe('UPLOAD_BUSY');
    const verified = await world.bridge().adapter.verify(attemptOf(), [fileOf('a', bytes)]);
    expect(verified.kind).toBe('mismatch');
    socket.write(bytes.subarray(9_999));
    expect(await allOf(socket)).toMatch(/^HTTP\/1.1 409[^]*ATTEMPT_CLOSED/);
  });

  it('whose bytes all come, though the attempt is discarded meanwhile, leave nothing', async () => {
    const right = await mintPut(world, 'a');
    const socket = await beginPut(right);
    await expect.poll(async () => (await world.agent.head(right)).code).toBe('UPLOAD_BUSY');
    const discarding = world.bridge().adapter.discard(attemptOf());
    socket.write(bytes);
    await discarding;
    expect(await allOf(socket)).toMatch(/^HTTP\/1.1 409[^]*ATTEMPT_CLOSED/);
  });
});

describe('many', () => {
  it('uploads of one attempt, and of all, are bounded (STORAGE_BUSY)', async () => {
    const many = await openBridgeWorld({
      limits: { ...limits, idleMs: 5000, uploadsPerAttempt: 2, uploads: 3 },
    });
    const own = world;
    world = many;
    try {
      for (const [name, job] of [
        ['a', 'a'],
        ['b', 'a'],
        ['c', 'b'],
      ] as const) {
        const right = await mintPut(many, name, { job: job.repeat(26) });
        await beginPut(right);
        await expect.poll(async () => (await many.agent.head(right)).code).toBe('UPLOAD_BUSY');
      }
      const third = await many.agent.put(await mintPut(many, 'x', { job: 'a'.repeat(26) }), bytes);
      expect(third).toMatchObject({ status: 503, code: 'STORAGE_BUSY', headers: { 'retry-after': '1' } });
      expect(await many.agent.put(await mintPut(many, 'y', { job: 'c'.repeat(26) }), bytes)).toMatchObject({
        code: 'STORAGE_BUSY',
      });
    } finally {
      await many.close();
      world = own;
    }
  });

  it('connections beyond the bound are closed, and others served again when some are gone', async () => {
    const crowd = Array.from({ length: 30 }, () => dial().resume());
    await Promise.all(crowd.map((socket) => once(socket, 'close')));
    expect((await putInput(world.url(), bytes)).status).toBe(201);
  });

  it('proofs cost one more round trip beyond what is remembered, and nobody is locked out', async () => {
    const few = await openBridgeWorld({ limits: { proofs: 5 } });
    try {
      const right = await mintPut(few, 'a');
      for (let request = 0; request < 20; request++)
        expect(await few.agent.head(right)).toMatchObject({ status: 404 });
    } finally {
      await few.close();
    }
  });

  it('a reader that does not read is cut off', async () => {
    const large = someBytes(30_000_000);
    expect((await putInput(world.url(), large)).status).toBe(201);
    const right = await mintGet(world, large);
    const nonce = String(
      (await world.agent.ask(right, { method: 'HEAD', url: right.url })).headers['dpop-nonce'],
    );
    const proof = createDpopProof(crypto, nodeRandom, world.agent.key, {
      method: 'GET',
      url: right.url,
      token: right.token,
      nonce,
      wallMs: 0,
    });
    const socket = dial();
    socket.pause();
    socket.write(
      `GET ${new URL(right.url).pathname} HTTP/1.1\r\nHost: x\r\nAuthorization: DPoP ${right.token}\r\nDPoP: ${proof}\r\n\r\n`,
    );
    const next = (): Promise<Answer> =>
      world.agent.ask(right, { method: 'GET', url: right.url, headers: { Range: 'bytes=0-0' } });
    await expect.poll(async () => (await next()).code).toBe('STORAGE_BUSY');
    await expect.poll(async () => (await next()).status, { timeout: 10_000 }).toBe(206);
  });
});

it('stop ends what does not end by itself, and leaves the port free', async () => {
  const right = await mintPut(world, 'a');
  const socket = await beginPut(right);
  await expect.poll(async () => (await world.agent.head(right)).code).toBe('UPLOAD_BUSY');
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await world.bridge().stop();
  await closed;
  await world.restart();
  expect((await world.agent.put(right, bytes)).status).toBe(201);
});

it('stop waits for a request whose connection is gone but whose file is still being made', async () => {
  const disk = createNodeDisk();
  let open: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  let opened = 0;
  const slow: Disk = {
    ...disk,
    open: async (path, mode) => {
      opened++;
      await gate;
      return disk.open(path, mode);
    },
  };
  const other = await openBridgeWorld({ limits, disk: slow });
  const own = world;
  world = other;
  try {
    const socket = await beginPut(await mintPut(other, 'a'));
    await expect.poll(() => opened).toBe(1);
    socket.destroy();
    let hasStopped = false;
    const stopping = other
      .bridge()
      .stop()
      .then(() => (hasStopped = true));
    await expect.poll(() => send({ method: 'GET', url: other.url() }).catch(() => 'closed')).toBe('closed');
    expect(hasStopped).toBe(false);
    open();
    await stopping;
  } finally {
    open();
    await other.close();
    world = own;
  }
});
