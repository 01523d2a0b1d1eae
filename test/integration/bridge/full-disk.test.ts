import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createNodeDisk } from '../../../adapters/storage/bridge/disk.ts';
import { openRegistry } from '../../../adapters/storage/bridge/registry.ts';
import type { BridgeWorld } from '../../doubles/bridge-world.ts';
import {
  attemptOf,
  fileOf,
  mintPut,
  openBridgeWorld,
  OTHER_JOB,
  putInput,
  someBytes,
} from '../../doubles/bridge-world.ts';
import { createFaultyDisk } from '../../doubles/faulty-disk.ts';

const bytes = someBytes(100_000);
const full = { status: 507, code: 'STORAGE_FULL' };

describe('a full disk', () => {
  const disk = createFaultyDisk();
  let world: BridgeWorld;
  beforeEach(async () => {
    disk.isFull = false;
    world = await openBridgeWorld({ disk });
  });
  afterEach(() => world.close());

  it('refuses (STORAGE_FULL), loses nothing, and takes files again when there is room', async () => {
    const pieces = await mintPut(world, 'pieces');
    expect((await world.agent.put(await mintPut(world, 'before'), bytes)).status).toBe(201);
    await world.agent.patch(pieces, { whole: bytes, start: 0, end: 50_000 });
    disk.isFull = true;
    const whole = await mintPut(world, 'whole');
    expect(await world.agent.put(whole, bytes)).toMatchObject(full);
    expect(await world.agent.patch(pieces, { whole: bytes, start: 50_000, end: 100_000 })).toMatchObject(
      full,
    );
    expect(await putInput(world.url(), bytes)).toMatchObject(full);
    expect((await world.agent.head(pieces)).headers['upload-offset']).toBe('50000');
    disk.isFull = false;
    expect((await world.agent.put(whole, bytes)).status).toBe(201);
    expect((await world.agent.patch(pieces, { whole: bytes, start: 50_000, end: 100_000 })).status).toBe(204);
    expect((await putInput(world.url(), bytes)).status).toBe(201);
    const manifest = ['before', 'pieces', 'whole'].map((name) => fileOf(name, bytes));
    expect((await world.bridge().adapter.verify(attemptOf(), manifest)).kind).toBe('verified');
  });

  it('is waited out by an agent’s transfer', async () => {
    const { writeFile } = await import('node:fs/promises');
    const path = join(world.directory, 'file');
    await writeFile(path, bytes);
    disk.isFull = true;
    let refusals = 0;
    const upload = world.transfers.upload(
      path,
      await mintPut(world, 'a'),
      fileOf('a', bytes),
      new AbortController().signal,
    );
    await expect
      .poll(async () => {
        refusals += Number((await world.agent.put(await mintPut(world, 'b'), bytes)).code === 'STORAGE_FULL');
        return refusals;
      })
      .toBeGreaterThan(0);
    disk.isFull = false;
    await upload;
  });

  it('of the file system’s own is told apart from other faults', async () => {
    const file = await createNodeDisk().open('/dev/full', 'append');
    await expect(file.write(bytes, 0)).rejects.toMatchObject({ code: 'STORAGE_FULL' });
    await file.close();
  });
});

describe('the ceiling on everything', () => {
  it('counts files begun, whole and brought, across a restart, and gives room back (STORAGE_FULL)', async () => {
    const ceiling = {
      maxFileBytes: 200_000,
      maxAttemptBytes: 200_000,
      maxTotalBytes: 300_000,
      verbs: ['get', 'put'],
    } as const;
    const world = await openBridgeWorld({ ceiling });
    try {
      const wish = { maxBytes: 100_000, totalBytes: 200_000 };
      expect((await putInput(world.url(), bytes)).status).toBe(201);
      expect((await world.agent.put(await mintPut(world, 'a', wish), bytes)).status).toBe(201);
      await world.agent.patch(await mintPut(world, 'b', wish), { whole: bytes, start: 0, end: 1 });
      const other = await mintPut(world, 'c', { ...wish, job: OTHER_JOB });
      expect(await world.agent.put(other, bytes)).toMatchObject(full);
      expect(await putInput(world.url(), someBytes(10, 3))).toMatchObject(full);
      await world.restart();
      expect(await world.agent.put(other, bytes)).toMatchObject(full);
      await world.bridge().adapter.finalise(attemptOf(), [fileOf('a', bytes)]);
      expect((await world.agent.put(other, bytes)).status).toBe(201);
      expect(await putInput(world.url(), someBytes(10, 3))).toMatchObject(full);
      await world.bridge().adapter.discard(attemptOf(OTHER_JOB));
      expect((await putInput(world.url(), someBytes(10, 3))).status).toBe(201);
    } finally {
      await world.close();
    }
  });

  it('gives back what was refused or broken off', async () => {
    const ceiling = {
      maxFileBytes: 150_000,
      maxAttemptBytes: 150_000,
      maxTotalBytes: 150_000,
      verbs: ['put'],
    } as const;
    const world = await openBridgeWorld({ ceiling });
    try {
      const wish = { maxBytes: 150_000, totalBytes: 150_000 };
      const right = await mintPut(world, 'a', wish);
      for (let again = 0; again < 5; again++)
        expect(
          await world.agent.put(right, bytes, { 'Repr-Digest': `sha-256=:${'A'.repeat(43)}=:` }),
        ).toMatchObject({ code: 'DIGEST_MISMATCH' });
      expect((await world.agent.put(right, bytes)).status).toBe(201);
    } finally {
      await world.close();
    }
  });
});

describe('the registry', () => {
  let folder: string;
  const path = (): string => join(folder, 'registry.sqlite');
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'registry-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));
  const file = (name: string) => ({ name, size: 1, sha256: '0'.repeat(64), isComplete: true, digests: {} });

  it('that is full refuses a whole group (STORAGE_FULL) and keeps what it acknowledged', async () => {
    const registry = openRegistry({ path: path(), maxPages: 20 });
    let kept = 0;
    let refusal: unknown;
    while (refusal === undefined) {
      const attempt = kept + 1;
      try {
        await registry.write((tables) =>
          tables.putFile(attemptOf('a'.repeat(26), attempt), file('x'.repeat(128)), 0),
        );
        kept++;
      } catch (error) {
        refusal = error;
      }
    }
    expect(refusal).toMatchObject({ code: 'STORAGE_FULL' });
    registry.close();
    const again = openRegistry({ path: path() });
    expect(again.tables.usedBytes()).toBe(kept);
    await again.write((tables) => tables.putFile(attemptOf(), file('more'), 0));
    expect(again.tables.usedBytes()).toBe(kept + 1);
    again.close();
  });

  it('commits what was asked for in one turn together, in order, each seeing those before it', async () => {
    const registry = openRegistry({ path: path() });
    const seen = await Promise.all([
      registry.write((tables) => tables.setState(attemptOf(), 'closed', 0)),
      registry.write((tables) => tables.state(attemptOf())),
      registry.write((tables) => tables.setState(attemptOf(), 'registered', 0)),
      registry.write((tables) => tables.state(attemptOf())),
    ]);
    expect(seen).toEqual([undefined, 'closed', undefined, 'registered']);
    registry.close();
  });

  it('undoes a change that throws, and only that', async () => {
    const registry = openRegistry({ path: path() });
    const outcomes = await Promise.allSettled([
      registry.write((tables) => tables.putFile(attemptOf(), file('a'), 0)),
      registry.write((tables) => {
        tables.putFile(attemptOf(), file('b'), 0);
        throw new Error('no');
      }),
      registry.write((tables) => tables.putFile(attemptOf(), file('c'), 0)),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(registry.tables.files(attemptOf()).map(({ name }) => name)).toEqual(['a', 'c']);
    registry.close();
  });

  it('holds I3 by an index of its own: two results of one job cannot be written', async () => {
    const registry = openRegistry({ path: path() });
    await registry.write((tables) => tables.setState(attemptOf(), 'registered', 0));
    const second = registry.write((tables) => tables.setState(attemptOf('a'.repeat(26), 2), 'registered', 0));
    await expect(second).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(registry.tables.result('a'.repeat(26))).toBe(1);
    registry.close();
  });

  it('makes durable what is queued when it closes, and takes nothing after', async () => {
    const registry = openRegistry({ path: path() });
    const last = registry.write((tables) => tables.setState(attemptOf(), 'closed', 0));
    registry.close();
    registry.close();
    await last;
    await expect(registry.write(() => undefined)).rejects.toMatchObject({ code: 'UNREACHABLE' });
    const again = openRegistry({ path: path() });
    expect(again.tables.state(attemptOf())).toBe('closed');
    again.close();
  });
});
