import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { digestField } from '../../../protocol/digest-field.ts';
import type { BridgeWorld } from '../../doubles/bridge-world.ts';
import {
  asOperator,
  attemptOf,
  fileOf,
  JOB,
  mintGet,
  mintPut,
  openBridgeWorld,
  putInput,
  send,
  sha256Of,
  someBytes,
} from '../../doubles/bridge-world.ts';

let world: BridgeWorld;
beforeEach(async () => {
  world = await openBridgeWorld();
});
afterEach(() => world.close());

const bytes = someBytes(300_000);

/** Names of everything under the bridge's directory. */
async function everything(): Promise<readonly string[]> {
  const entries = await readdir(world.directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

async function attemptFiles(): Promise<readonly string[]> {
  return (await everything()).filter((path) => path.includes('/attempts/'));
}

describe('a whole file', () => {
  it('is taken, told whole by HEAD, verified, registered and given to the trusted side', async () => {
    const capability = await mintPut(world, 'out/events.csv');
    expect(await world.agent.head(capability)).toMatchObject({ status: 404, code: 'NOT_FOUND' });
    expect(await world.agent.put(capability, bytes)).toMatchObject({ status: 201 });
    expect((await world.agent.head(capability)).headers).toMatchObject({
      'upload-offset': '300000',
      'upload-length': '300000',
    });
    const files = [fileOf('out/events.csv', bytes)];
    const { adapter } = world.bridge();
    const results = `${world.url()}/v1/results/${JOB}/1`;
    await adapter.verify(attemptOf(), files);
    expect(await asOperator({ method: 'GET', url: results })).toMatchObject({ status: 404 });
    await adapter.finalise(attemptOf(), files);
    const manifest = await asOperator({ method: 'GET', url: results });
    expect(JSON.parse(manifest.body.toString())).toEqual({ job: JOB, attempt: 1, files });
    const got = await asOperator({ method: 'GET', url: `${results}/out/events.csv` });
    expect(got.body.equals(bytes)).toBe(true);
    expect(got.headers['repr-digest']).toBe(digestField(sha256Of(bytes)));
    expect(await asOperator({ method: 'GET', url: `${results}/other` })).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('may be empty', async () => {
    const capability = await mintPut(world, 'empty');
    expect(await world.agent.put(capability, new Uint8Array(0))).toMatchObject({ status: 201 });
    const verified = await world.bridge().adapter.verify(attemptOf(), [fileOf('empty', new Uint8Array(0))]);
    expect(verified.kind).toBe('verified');
  });

  it('may be sent again, and is not read again', async () => {
    const capability = await mintPut(world, 'a');
    expect((await world.agent.put(capability, bytes)).status).toBe(201);
    expect((await world.agent.put(capability, bytes)).status).toBe(200);
    expect(await attemptFiles()).toHaveLength(1);
  });

  it('lies nowhere under a name the agent chose (I7)', async () => {
    await world.agent.put(await mintPut(world, 'chosen-by-agent/evil.sh'), bytes);
    expect((await everything()).join()).not.toMatch(/chosen-by-agent|evil/);
  });

  it.each([
    ['DIGEST_MISMATCH', 422, 'other bytes than it promised', { 'Repr-Digest': digestField('0'.repeat(64)) }],
    ['MALFORMED_REQUEST', 400, 'no digest', { 'Repr-Digest': 'md5=:AAAA:' }],
    ['MALFORMED_REQUEST', 400, 'a length that is not its own', { 'Upload-Length': 5 }],
  ])('%s (%i): %s, and nothing of it stays', async (code, status, _what, headers) => {
    const capability = await mintPut(world, 'a');
    expect(await world.agent.put(capability, bytes, headers)).toMatchObject({ code, status });
    expect(await attemptFiles()).toEqual([]);
    expect((await world.agent.put(capability, bytes)).status).toBe(201);
  });

  it('LENGTH_REQUIRED (411): a body without a length is not taken', async () => {
    const capability = await mintPut(world, 'a');
    await world.agent.head(capability);
    const answer = await world.agent.ask(capability, {
      method: 'PUT',
      url: capability.url,
      body: bytes,
      headers: { 'Transfer-Encoding': 'chunked', 'Repr-Digest': digestField(sha256Of(bytes)) },
    });
    expect(answer).toMatchObject({ status: 411, code: 'LENGTH_REQUIRED' });
  });

  it('pinned by its capability to a digest is taken with that digest only', async () => {
    const capability = await mintPut(world, 'a', { sha256: sha256Of(bytes) });
    const other = someBytes(300_000, 2);
    expect(await world.agent.put(capability, other)).toMatchObject({ status: 422, code: 'DIGEST_MISMATCH' });
    expect((await world.agent.put(capability, bytes)).status).toBe(201);
  });

  it('is refused before a byte of it lands where it is over the capability (QUOTA_EXCEEDED)', async () => {
    const capability = await mintPut(world, 'a', { maxBytes: 299_999 });
    expect(await world.agent.put(capability, bytes)).toMatchObject({ status: 413, code: 'QUOTA_EXCEEDED' });
    expect(await attemptFiles()).toEqual([]);
  });
});

describe('a file in pieces', () => {
  const third = 100_000;

  it('goes on where it stopped, after a restart too, and is checked at the end', async () => {
    const capability = await mintPut(world, 'a');
    expect((await world.agent.patch(capability, { whole: bytes, start: 0, end: third })).status).toBe(204);
    expect((await world.agent.head(capability)).headers).toMatchObject({
      'upload-offset': '100000',
      'upload-length': '300000',
    });
    expect((await world.agent.patch(capability, { whole: bytes, start: third, end: 2 * third })).status).toBe(
      204,
    );
    await world.restart();
    expect((await world.agent.head(capability)).headers['upload-offset']).toBe('200000');
    const last = await world.agent.patch(capability, { whole: bytes, start: 2 * third, end: 3 * third });
    expect(last).toMatchObject({ status: 204, headers: { 'upload-offset': '300000' } });
    const verified = await world.bridge().adapter.verify(attemptOf(), [fileOf('a', bytes)]);
    expect(verified.kind).toBe('verified');
  });

  it('OFFSET_MISMATCH (409): a gap, a piece twice, a piece of a file that is whole', async () => {
    const capability = await mintPut(world, 'a');
    const mismatch = { status: 409, code: 'OFFSET_MISMATCH' };
    expect(await world.agent.patch(capability, { whole: bytes, start: 5, end: 10 })).toMatchObject(mismatch);
    await world.agent.patch(capability, { whole: bytes, start: 0, end: third });
    expect(await world.agent.patch(capability, { whole: bytes, start: 0, end: third })).toMatchObject(
      mismatch,
    );
    expect(
      await world.agent.patch(capability, { whole: bytes, start: third + 1, end: 2 * third }),
    ).toMatchObject(mismatch);
    await world.agent.patch(capability, { whole: bytes, start: third, end: 3 * third });
    expect(await world.agent.patch(capability, { whole: bytes, start: 0, end: third })).toMatchObject(
      mismatch,
    );
  });

  it('DIGEST_MISMATCH (422): what is not what was promised is gone, and can be sent anew', async () => {
    const capability = await mintPut(world, 'a');
    const wrong = { 'Repr-Digest': digestField(sha256Of(someBytes(5))) };
    await world.agent.patch(capability, { whole: bytes, start: 0, end: third, headers: wrong });
    const last = await world.agent.patch(capability, {
      whole: bytes,
      start: third,
      end: 3 * third,
      headers: wrong,
    });
    expect(last).toMatchObject({ status: 422, code: 'DIGEST_MISMATCH' });
    expect(await world.agent.head(capability)).toMatchObject({ status: 404 });
    expect(await attemptFiles()).toEqual([]);
    expect((await world.agent.put(capability, bytes)).status).toBe(201);
  });

  it('DIGEST_MISMATCH (422): a piece that is not its Content-Digest is cut off again', async () => {
    const capability = await mintPut(world, 'a');
    await world.agent.patch(capability, { whole: bytes, start: 0, end: third });
    const headers = { 'Content-Digest': digestField(sha256Of(bytes)) };
    const bad = await world.agent.patch(capability, { whole: bytes, start: third, end: 2 * third, headers });
    expect(bad).toMatchObject({ status: 422, code: 'DIGEST_MISMATCH' });
    expect((await world.agent.head(capability)).headers['upload-offset']).toBe('100000');
    const right = { 'Content-Digest': digestField(sha256Of(bytes.subarray(third))) };
    const last = await world.agent.patch(capability, {
      whole: bytes,
      start: third,
      end: 3 * third,
      headers: right,
    });
    expect(last.status).toBe(204);
  });

  it.each([
    ['a piece beyond the end', 400, 'MALFORMED_REQUEST', { 'Upload-Length': 50_000 }],
    ['another media type', 400, 'MALFORMED_REQUEST', { 'Content-Type': 'text/plain' }],
    ['no offset', 411, 'LENGTH_REQUIRED', { 'Upload-Offset': 'here' }],
    ['a negative offset', 411, 'LENGTH_REQUIRED', { 'Upload-Offset': '-1' }],
    ['an offset in exponents', 411, 'LENGTH_REQUIRED', { 'Upload-Offset': '1e3' }],
    ['a length beyond numbers', 411, 'LENGTH_REQUIRED', { 'Upload-Length': '9'.repeat(30) }],
    ['a broken Content-Digest', 400, 'MALFORMED_REQUEST', { 'Content-Digest': 'sha-256=x' }],
  ])('refuses %s', async (_what, status, code, headers: Record<string, string | number>) => {
    const capability = await mintPut(world, 'a');
    const answer = await world.agent.patch(capability, { whole: bytes, start: 0, end: third, headers });
    expect(answer).toMatchObject({ status, code });
  });

  it('reserves its whole length at the first piece (QUOTA_EXCEEDED for the next file)', async () => {
    const wish = { totalBytes: 350_000 };
    await world.agent.patch(await mintPut(world, 'a', wish), { whole: bytes, start: 0, end: 10 });
    const other = await mintPut(world, 'b', wish);
    expect(await world.agent.put(other, bytes.subarray(0, 60_000))).toMatchObject({ code: 'QUOTA_EXCEEDED' });
    expect((await world.agent.put(other, bytes.subarray(0, 50_000))).status).toBe(201);
  });

  it('begun anew with other promises replaces what was begun', async () => {
    const capability = await mintPut(world, 'a');
    await world.agent.patch(capability, { whole: bytes, start: 0, end: third });
    const other = someBytes(1000, 9);
    expect((await world.agent.patch(capability, { whole: other, start: 0, end: 1000 })).status).toBe(204);
    const verified = await world.bridge().adapter.verify(attemptOf(), [fileOf('a', other)]);
    expect(verified.kind).toBe('verified');
  });

  it('half sent does not count when the attempt is verified, and is removed when it is discarded', async () => {
    const capability = await mintPut(world, 'a');
    await world.agent.patch(capability, { whole: bytes, start: 0, end: third });
    const { adapter } = world.bridge();
    expect(await adapter.verify(attemptOf(), [fileOf('a', bytes)])).toMatchObject({ kind: 'mismatch' });
    const late = await world.agent.patch(capability, { whole: bytes, start: third, end: 3 * third });
    expect(late).toMatchObject({ status: 409, code: 'ATTEMPT_CLOSED' });
    await adapter.discard(attemptOf());
    expect(await attemptFiles()).toEqual([]);
  });
});

describe('inputs', () => {
  it('are brought by the trusted side under their digest, once, and read by agents, also in part', async () => {
    expect((await putInput(world.url(), bytes)).status).toBe(201);
    expect((await putInput(world.url(), bytes)).status).toBe(200);
    const capability = await mintGet(world, bytes);
    const get = (headers = {}) =>
      world.agent.ask(capability, { method: 'GET', url: capability.url, headers });
    expect((await get()).body.equals(bytes)).toBe(true);
    const part = await get({ Range: 'bytes=1000-1999' });
    expect(part).toMatchObject({ status: 206, headers: { 'content-range': 'bytes 1000-1999/300000' } });
    expect(part.body.equals(bytes.subarray(1000, 2000))).toBe(true);
    const rest = await get({ Range: 'bytes=299990-' });
    expect(rest.body.equals(bytes.subarray(299_990))).toBe(true);
    expect(await get({ Range: 'bytes=300000-' })).toMatchObject({
      status: 416,
      code: 'RANGE_NOT_SATISFIABLE',
    });
    const head = await world.agent.ask(capability, { method: 'HEAD', url: capability.url });
    expect(head).toMatchObject({ status: 200, headers: { 'content-length': '300000' } });
  });

  it('that are not what their URL says are refused and gone (DIGEST_MISMATCH)', async () => {
    const url = `${world.url()}/v1/inputs/${'0'.repeat(64)}`;
    const answer = await asOperator({
      method: 'PUT',
      url,
      body: bytes,
      headers: { 'Content-Length': bytes.length },
    });
    expect(answer).toMatchObject({ status: 422, code: 'DIGEST_MISMATCH' });
    expect((await everything()).filter((path) => path.includes('/inputs/'))).toEqual([]);
    expect(await asOperator({ method: 'HEAD', url })).toMatchObject({ status: 404 });
  });

  it('not brought yet are NOT_FOUND', async () => {
    const capability = await mintGet(world, someBytes(10, 77));
    expect(await world.agent.ask(capability, { method: 'GET', url: capability.url })).toMatchObject({
      code: 'NOT_FOUND',
    });
  });

  it('brought twice at once are there once', async () => {
    const answers = await Promise.all([putInput(world.url(), bytes), putInput(world.url(), bytes)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 201]);
    expect((await everything()).filter((path) => path.includes('/inputs/'))).toHaveLength(1);
  });
});

describe('a bridge', () => {
  it('starts once and stops once, however often it is asked, and then says so', async () => {
    const again = await world.bridge().start();
    expect(again.url).toBe(world.url());
    await Promise.all([world.bridge().stop(), world.bridge().stop()]);
    await expect(world.bridge().adapter.discard(attemptOf())).rejects.toMatchObject({ code: 'UNREACHABLE' });
    await expect(send({ method: 'GET', url: world.url() })).rejects.toThrow(/ECONNREFUSED/);
  });
});
