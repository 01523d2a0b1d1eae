import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Capability } from '../../../protocol/generated/types.ts';
import type { BridgeWorld } from '../../doubles/bridge-world.ts';
import {
  attemptOf,
  fileOf,
  MIB,
  mintGet,
  mintPut,
  openBridgeWorld,
  putInput,
  sha256Of,
  someBytes,
} from '../../doubles/bridge-world.ts';
import { openFaultProxy } from '../../doubles/fault-proxy.ts';
import type { FaultProxy } from '../../doubles/fault-proxy.ts';

const forever = new AbortController().signal;
const big = someBytes(3 * MIB + 17);
const factsOf = (bytes: Uint8Array) => ({ size: bytes.length, sha256: sha256Of(bytes) });

let proxy: FaultProxy;
let world: BridgeWorld;
let folder: string;

beforeEach(async () => {
  proxy = await openFaultProxy();
  world = await openBridgeWorld({
    publicUrl: `http://127.0.0.1:${proxy.port}`,
    limits: { stopGraceMs: 100, idleMs: 2000 },
    tuning: { chunkBytes: MIB, idleMs: 3000 },
  });
  proxy.target(world.listeningPort());
  folder = await mkdtemp(join(tmpdir(), 'transfers-'));
});
afterEach(async () => {
  await proxy.close();
  await world.close();
  await rm(folder, { recursive: true, force: true });
});

async function fileWith(bytes: Uint8Array): Promise<string> {
  const path = join(folder, 'file');
  await writeFile(path, bytes);
  return path;
}

async function isWhole(name: string, bytes: Uint8Array): Promise<boolean> {
  return (await world.bridge().adapter.verify(attemptOf(), [fileOf(name, bytes)])).kind === 'verified';
}

describe('an upload', () => {
  it.each([
    ['of nothing', new Uint8Array(0)],
    ['of one byte', someBytes(1)],
    ['of exactly one piece', someBytes(MIB)],
    ['of one piece and a byte', someBytes(MIB + 1)],
    ['of several pieces', big],
  ])('%s arrives whole', async (_what, bytes) => {
    const progress: number[] = [];
    const capability = await mintPut(world, 'a');
    await world.transfers.upload(await fileWith(bytes), capability, factsOf(bytes), forever, (at) =>
      progress.push(at),
    );
    expect(progress.at(-1)).toBe(bytes.length);
    expect(await isWhole('a', bytes)).toBe(true);
  });

  it('costs one request where a nonce is at hand', async () => {
    const path = await fileWith(someBytes(100));
    await world.transfers.upload(path, await mintPut(world, 'a'), factsOf(someBytes(100)), forever);
    const before = proxy.connections();
    await world.transfers.upload(path, await mintPut(world, 'b'), factsOf(someBytes(100)), forever);
    expect(proxy.connections()).toBe(before);
  });

  it('goes on where the connection broke, again and again', async () => {
    proxy.cutNext('up', 300, 1_500_000, 700_000, 900_000);
    proxy.cutNext('down', 10);
    await world.transfers.upload(await fileWith(big), await mintPut(world, 'a'), factsOf(big), forever);
    expect(proxy.connections()).toBeGreaterThan(5);
    expect(await isWhole('a', big)).toBe(true);
  });

  it('goes on after the bridge was restarted, with the same capability', async () => {
    const capability = await mintPut(world, 'a');
    let restarted: Promise<void> | undefined;
    await world.transfers.upload(await fileWith(big), capability, factsOf(big), forever, () => {
      restarted ??= world.restart();
    });
    await restarted;
    expect(await isWhole('a', big)).toBe(true);
  });

  it('of a file that was there already succeeds without sending it', async () => {
    const path = await fileWith(big);
    const capability = await mintPut(world, 'a');
    await world.transfers.upload(path, capability, factsOf(big), forever);
    await world.transfers.upload(path, capability, factsOf(big), forever);
    expect(await isWhole('a', big)).toBe(true);
  });

  it('of a file that is not what was reported is refused (DIGEST_MISMATCH)', async () => {
    const path = await fileWith(someBytes(500));
    const capability = await mintPut(world, 'a');
    const upload = (facts: { size: number; sha256: string }) =>
      world.transfers.upload(path, capability, facts, forever);
    await expect(upload({ size: 499, sha256: '0'.repeat(64) })).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
    });
    await expect(upload({ size: 500, sha256: '0'.repeat(64) })).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
    });
  });

  it('ends at once where storage refuses for good, with its code', async () => {
    const capability = await mintPut(world, 'a', { maxBytes: 10 });
    const upload = world.transfers.upload(await fileWith(big), capability, factsOf(big), forever);
    await expect(upload).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' });
  });

  it('ends with UNREACHABLE when patience does, and at once with its signal', async () => {
    const capability = await mintPut(world, 'a');
    const path = await fileWith(big);
    await world.bridge().stop();
    await expect(world.transfers.upload(path, capability, factsOf(big), forever)).rejects.toMatchObject({
      code: 'UNREACHABLE',
    });
    const signal = AbortSignal.timeout(50);
    await expect(world.transfers.upload(path, capability, factsOf(big), signal)).rejects.toThrow(/timeout/);
  });

  it('follows no link', async () => {
    const path = join(folder, 'link');
    await symlink('/etc/passwd', path);
    const upload = world.transfers.upload(
      path,
      await mintPut(world, 'a'),
      { size: 1, sha256: '0'.repeat(64) },
      forever,
    );
    await expect(upload).rejects.toThrow(/ELOOP/);
  });
});

describe('a download', () => {
  const target = (): string => join(folder, 'input.dat');

  it.each([
    ['of nothing', new Uint8Array(0)],
    ['of a byte', someBytes(1)],
    ['of much', big],
  ])('%s arrives whole', async (_what, bytes) => {
    await putInput(`http://127.0.0.1:${proxy.port}`, bytes);
    await world.transfers.download(await mintGet(world, bytes), target(), factsOf(bytes), forever);
    expect((await readFile(target())).equals(bytes)).toBe(true);
    expect(await readdir(folder)).toEqual(['input.dat']);
  });

  it('goes on where the connection broke', async () => {
    await putInput(`http://127.0.0.1:${proxy.port}`, big);
    await world.restart();
    proxy.cutNext('down', 100, 1_000_000, 500_000, 0);
    const seen: number[] = [];
    await world.transfers.download(await mintGet(world, big), target(), factsOf(big), forever, (at) =>
      seen.push(at),
    );
    expect((await readFile(target())).equals(big)).toBe(true);
    expect(seen.every((at, index) => index === 0 || at > seen[index - 1]!)).toBe(true);
  });

  it('goes on from what an earlier call left, and starts over where that was something else', async () => {
    await putInput(`http://127.0.0.1:${proxy.port}`, big);
    const capability = await mintGet(world, big);
    for (const left of [
      big.subarray(0, 1000),
      someBytes(2000, 5),
      someBytes(big.length + 1, 6),
      someBytes(big.length, 7),
    ]) {
      await writeFile(`${target()}.part`, left);
      await world.transfers.download(capability, target(), factsOf(big), forever);
      expect((await readFile(target())).equals(big)).toBe(true);
    }
  });

  it('of what is not there is NOT_FOUND, and leaves no target', async () => {
    const download = world.transfers.download(await mintGet(world, big), target(), factsOf(big), forever);
    await expect(download).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await readdir(folder)).not.toContain('input.dat');
  });
});

describe('a storage that lies', () => {
  let liar: Server;
  afterEach(async () => {
    liar.closeAllConnections();
    liar.close();
    await once(liar, 'close');
  });
  const openLiar = async (answer: RequestListener): Promise<Capability> => {
    liar = createServer(answer).listen(0, '127.0.0.1');
    await once(liar, 'listening');
    const address = liar.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return { verb: 'get', name: 'a', url: `http://127.0.0.1:${address.port}/v1/x`, token: 'token' };
  };
  const facts = factsOf(someBytes(1000));
  const download = (capability: Capability): Promise<void> =>
    world.transfers.download(capability, join(folder, 'x'), facts, forever);

  it('with other bytes is found out, and its bytes are removed (DIGEST_MISMATCH)', async () => {
    const capability = await openLiar((_request, response) => response.end(someBytes(1000, 2)));
    await expect(download(capability)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    expect(await readdir(folder)).toEqual([]);
  });

  it('with bytes without end is cut off at the size it was to have', async () => {
    const capability = await openLiar((_request, response) => {
      const more = (): void => {
        while (response.write(new Uint8Array(65_536)));
      };
      response.on('drain', more);
      more();
    });
    await expect(download(capability)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  });

  it.each<[string, RequestListener]>([
    ['nothing', (_request, response) => response.end()],
    [
      'a redirect',
      (_request, response) => response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end(),
    ],
    [
      'a page without end for an error',
      (_request, response) => {
        response.writeHead(500);
        response.write(new Uint8Array(1_000_000));
      },
    ],
    ['an error that is no JSON', (_request, response) => response.writeHead(503).end('<html>')],
    [
      'a code of its own making',
      (_request, response) => response.writeHead(503).end('{"code":"EVIL","message":7}'),
    ],
    [
      'a nonce for ever',
      (_request, response) =>
        response.writeHead(401, { 'dpop-nonce': 'x', 'error-code': 'DPOP_NONCE_REQUIRED' }).end(),
    ],
    ['silence', () => undefined],
  ])('with %s costs bounded patience', async (_what, answer) => {
    const capability = await openLiar(answer);
    const short = await openBridgeWorld({ tuning: { idleMs: 100, attempts: 2, baseMs: 5 } });
    try {
      const attempt = short.transfers.download(capability, join(folder, 'x'), facts, forever);
      await expect(attempt).rejects.toMatchObject({
        code: expect.stringMatching(/^(UNREACHABLE|MALFORMED_REQUEST|DPOP_NONCE_REQUIRED)$/),
      });
    } finally {
      await short.close();
    }
  });
});
