import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createInputStore } from '../../../adapters/jobs/kit/input-store.ts';
import { createResultReader, type ResultFile } from '../../../adapters/jobs/kit/result-reader.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

describe('files of the Data Bridge, for adapters', () => {
  let server: Server;
  let folder: string;
  const stored = new Map<string, string>();
  let status = 201;
  const bridge = (): { readonly url: string; readonly token: string } => ({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token: 'of-the-operator',
  });
  const file = (text: string, change: Partial<ResultFile> = {}): ResultFile => {
    const whole = {
      job: 'a'.repeat(26),
      attempt: 2,
      name: 'logs/out 1.txt',
      size: text.length,
      sha256: sha256(text),
    };
    return { ...whole, ...change };
  };

  beforeAll(async () => {
    folder = await temporaryDirectory('bridge-files');
    server = createServer((request, response) => {
      if (request.headers.authorization !== 'Bearer of-the-operator')
        return void response.writeHead(403).end();
      const { url = '' } = request;
      if (request.method === 'GET') {
        const text = stored.get(url);
        return void response.writeHead(text === undefined ? 404 : 200).end(text);
      }
      let body = '';
      request.on('data', (chunk) => (body += String(chunk)));
      request.on('end', () => {
        stored.set(url, body);
        response.writeHead(status).end();
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  beforeEach(() => {
    stored.clear();
    status = 201;
  });
  afterAll(async () => {
    server.closeAllConnections();
    server.close();
    await removeDirectory(folder);
  });

  it('go in under their digest, from memory or a file', async () => {
    const store = createInputStore(bridge());
    const path = join(folder, 'input');
    await writeFile(path, 'from a file');
    expect(await store.put({ kind: 'bytes', bytes: Buffer.from('text') })).toEqual({
      size: 4,
      sha256: sha256('text'),
    });
    expect(await store.put({ kind: 'file', path })).toEqual({ size: 11, sha256: sha256('from a file') });
    expect(stored).toEqual(
      new Map([
        [`/v1/inputs/${sha256('text')}`, 'text'],
        [`/v1/inputs/${sha256('from a file')}`, 'from a file'],
      ]),
    );
  });

  it('say what was wrong with one that did not go in', async () => {
    const store = createInputStore(bridge());
    status = 400;
    const put = () => store.put({ kind: 'bytes', bytes: Buffer.from('text') });
    await expect(put()).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    status = 507;
    await expect(put()).rejects.toMatchObject({ code: 'UNREACHABLE' });
    const stranger = createInputStore({ ...bridge(), url: 'http://127.0.0.1:1' });
    await expect(stranger.put({ kind: 'bytes', bytes: Buffer.from('x') })).rejects.toMatchObject({
      code: 'UNREACHABLE',
    });
  });

  it('come out of a committed result whole, or not at all', async () => {
    const reader = createResultReader(bridge());
    stored.set(`/v1/results/${'a'.repeat(26)}/2/logs/out%201.txt`, 'result');
    const path = join(folder, 'saved');
    expect(Buffer.from(await reader.bytes(file('result'), 100)).toString()).toBe('result');
    await reader.save(file('result'), path);
    expect(await readFile(path, 'utf8')).toBe('result');
    for (const wrong of [file('result', { sha256: sha256('other') }), file('resul'), file('result!')]) {
      await expect(reader.bytes(wrong, 100)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
      await expect(reader.save(wrong, join(folder, 'bad'))).rejects.toMatchObject({
        code: 'DIGEST_MISMATCH',
      });
    }
    expect(await readdir(folder)).not.toContain('bad');
    expect(await readdir(folder)).not.toContain('bad.part');
    await expect(reader.bytes(file('result'), 5)).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' });
    await expect(reader.bytes(file('result', { attempt: 3 }), 100)).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });
});
