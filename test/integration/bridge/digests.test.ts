import { createHash } from 'node:crypto';
import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, expect, it } from 'vitest';
import { adler32 } from '../../../protocol/adler32.ts';
import { createPlaces } from '../../../adapters/storage/bridge/places.ts';
import { openRegistry } from '../../../adapters/storage/bridge/registry.ts';
import type { Verified } from '../../../adapters/storage/storage-adapter.ts';
import { MIGRATIONS } from '../../../adapters/storage/bridge/tables.ts';
import type { BridgeWorld, WorldOptions } from '../../doubles/bridge-world.ts';
import {
  asOperator,
  attemptOf,
  fileOf,
  JOB,
  mintGet,
  mintPut,
  openBridgeWorld,
  putInput,
  sha256Of,
  someBytes,
} from '../../doubles/bridge-world.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const bytes = someBytes(200_001);
const md5 = createHash('md5').update(bytes).digest('hex');
const adler = adler32(bytes).toString(16).padStart(8, '0');
const BOTH = { 'Want-Repr-Digest': 'md5=1, adler=1' };
const base64 = (hex: string): string => `:${Buffer.from(hex, 'hex').toString('base64')}:`;

let world: BridgeWorld;
let verified: Verified;
afterEach(() => world.close());

async function withResult(
  options: WorldOptions,
  pieces: readonly (readonly [number, number])[],
): Promise<string> {
  world = await openBridgeWorld(options);
  const capability = await mintPut(world, 'a');
  for (const [start, end] of pieces) {
    expect((await world.agent.patch(capability, { whole: bytes, start, end })).status).toBe(204);
    await world.restart();
  }
  if (pieces.length === 0) await world.agent.put(capability, bytes);
  verified = await world.bridge().adapter.verify(attemptOf(), [fileOf('a', bytes)]);
  await world.bridge().adapter.finalise(attemptOf(), [fileOf('a', bytes)]);
  return `${world.url()}/v1/results/${JOB}/1`;
}

it.each([
  ['a whole upload', []],
  [
    'pieces with a restart between them',
    [
      [0, 70_000],
      [70_000, 200_001],
    ],
  ],
] as const)('digests the bridge is configured for are computed as bytes come: %s', async (_what, pieces) => {
  const url = await withResult({ digests: ['md5', 'adler32'] }, pieces);
  expect(verified).toMatchObject({ files: [{ ...fileOf('a', bytes), md5, adler32: adler }] });
  const manifest = JSON.parse((await asOperator({ method: 'GET', url })).body.toString());
  expect(manifest.files).toEqual([{ ...fileOf('a', bytes), md5, adler32: adler }]);
  const head = await asOperator({ method: 'HEAD', url: `${url}/a`, headers: BOTH });
  expect(head.headers['repr-digest']).toBe(
    `sha-256=${base64(sha256Of(bytes))}, md5=${base64(md5)}, adler=${base64(adler)}`,
  );
});

it('digests nobody was configured for are computed when the trusted side asks, once', async () => {
  const url = await withResult({}, []);
  expect((await asOperator({ method: 'HEAD', url: `${url}/a` })).headers['repr-digest']).not.toContain('md5');
  const asked = await asOperator({ method: 'GET', url: `${url}/a`, headers: { ...BOTH, Range: 'bytes=-5' } });
  expect(asked.headers['repr-digest']).toContain(`md5=${base64(md5)}, adler=${base64(adler)}`);
  expect(asked.body.equals(bytes.subarray(-5))).toBe(true);
  const manifest = JSON.parse((await asOperator({ method: 'GET', url })).body.toString());
  expect(manifest.files[0]).toMatchObject({ md5, adler32: adler });
});

it('an agent cannot make the bridge read a file for digests: it is told what is known', async () => {
  world = await openBridgeWorld();
  await putInput(world.url(), bytes);
  const capability = await mintGet(world, bytes);
  const ask = () => world.agent.ask(capability, { method: 'HEAD', url: capability.url, headers: BOTH });
  expect((await ask()).headers['repr-digest']).toBe(`sha-256=${base64(sha256Of(bytes))}`);
  await asOperator({ method: 'HEAD', url: capability.url, headers: BOTH });
  expect((await ask()).headers['repr-digest']).toContain(`md5=${base64(md5)}`);
});

it('digests of bytes that the disk lost are not given out', async () => {
  const url = await withResult({}, []);
  await truncate(createPlaces(join(world.directory, 'bridge')).file(attemptOf(), 'a'), 1000);
  const answer = await asOperator({ method: 'HEAD', url: `${url}/a`, headers: BOTH });
  expect(answer.status).toBe(500);
  expect(answer.headers['repr-digest']).toBeUndefined();
});

it('a range is for GET, for the bytes If-Range names, and its refusal tells the size', async () => {
  const url = await withResult({}, []);
  const get = (headers: Record<string, string>, method = 'GET') =>
    asOperator({ method, url: `${url}/a`, headers });
  const Range = 'bytes=10-19';
  expect((await get({ Range, 'If-Range': `"${sha256Of(bytes)}"` })).status).toBe(206);
  expect(await get({ Range, 'If-Range': '"other"' })).toMatchObject({
    status: 200,
    headers: { 'content-length': String(bytes.length) },
  });
  expect((await get({ Range }, 'HEAD')).status).toBe(200);
  const refused = await get({ Range: `bytes=${bytes.length}-` });
  expect(refused).toMatchObject({ status: 416, headers: { 'content-range': `bytes */${bytes.length}` } });
  const last = await get({ Range: 'bytes=-3' });
  expect(last.headers['content-range']).toBe(`bytes 199998-200000/${bytes.length}`);
  expect(last.body.equals(bytes.subarray(-3))).toBe(true);
});

it('a registry of the version before is read on', async () => {
  world = await openBridgeWorld();
  const directory = await temporaryDirectory('registry');
  const path = join(directory, 'registry.sqlite');
  const old = new DatabaseSync(path);
  old.exec(`${MIGRATIONS[0]} PRAGMA application_id = 1668309618; PRAGMA user_version = 1`);
  old.exec(`INSERT INTO file VALUES ('${JOB}', 1, 'a', 'a', 5, '${'0'.repeat(64)}', 1)`);
  old.close();
  const registry = openRegistry({ path });
  expect(registry.tables.file(attemptOf(), 'a')).toMatchObject({ size: 5, isComplete: true, digests: {} });
  registry.close();
  await removeDirectory(directory);
});
