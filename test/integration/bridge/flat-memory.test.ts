import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import {
  createTestAgent,
  crypto,
  grantFor,
  MIB,
  OPERATOR_TOKEN,
  someBytes,
} from '../../doubles/bridge-world.ts';
import type { TransferOrder } from '../../doubles/transfer-process.ts';
import { freePort } from '../../doubles/free-port.ts';

const SIZE = 256 * MIB;
/** A tenth of what moves and more than the collector leaves lying about. */
const ALLOWED_GROWTH = 80 * MIB;
const doubles = new URL('../../doubles/', import.meta.url);
const children: ChildProcess[] = [];
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flat-memory-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  await rm(folder, { recursive: true, force: true });
});

function run(script: string, ...args: readonly string[]): ChildProcess {
  const child = fork(new URL(script, doubles), args, { execArgv: [] });
  children.push(child);
  return child;
}

async function next(child: ChildProcess): Promise<unknown> {
  const [message] = await once(child, 'message');
  return message;
}

/** A file of that size, and its digest. */
async function makeLargeFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  const piece = someBytes(MIB);
  const file = await open(path, 'w');
  for (let at = 0; at < SIZE; at += piece.length) {
    await file.write(piece);
    hash.update(piece);
  }
  await file.close();
  return hash.digest('hex');
}

/** Largest and present resident memory of another process, in bytes. */
async function memoryOf(child: ChildProcess): Promise<{ largest: number; now: number }> {
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
  const field = (name: string): number =>
    Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024;
  return { largest: field('VmHWM'), now: field('VmRSS') };
}

async function bringInput(url: string, path: string, sha256: string): Promise<number | undefined> {
  const headers = { Authorization: `Bearer ${OPERATOR_TOKEN}`, 'Content-Length': SIZE };
  const outgoing = request(`${url}/v1/inputs/${sha256}`, { method: 'PUT', headers });
  const answered = once(outgoing, 'response');
  await pipeline(createReadStream(path), outgoing);
  const [answer] = await answered;
  answer.resume();
  return answer.statusCode;
}

it('256 MiB go in, out and in again with flat memory on both sides', async () => {
  const source = join(folder, 'source');
  const sha256 = await makeLargeFile(source);
  const agent = createTestAgent();
  const bridge = run('bridge-process.ts', join(folder, 'bridge'), String(await freePort()));
  const hello = (await next(bridge)) as { readonly ok: string };
  const before = await memoryOf(bridge);
  expect(await bringInput(hello.ok, source, sha256)).toBe(201);

  const facts = { size: SIZE, sha256 };
  const get = [{ name: 'input', ...facts }];
  const put = [{ name: 'output', maxBytes: SIZE }];
  bridge.send({ op: 'mint', grant: grantFor(agent.jkt, { get, put }) });
  const { ok } = (await next(bridge)) as {
    readonly ok: readonly [TransferOrder['get'], TransferOrder['put']];
  };
  const mover = run('transfer-process.ts');
  const key = Buffer.from(crypto.exportPrivate(agent.key)).toString('hex');
  mover.send({ key, source, target: join(folder, 'target'), facts, get: ok[0], put: ok[1] });
  expect(await next(mover)).toBeLessThan(ALLOWED_GROWTH);
  expect((await memoryOf(bridge)).largest - before.now).toBeLessThan(ALLOWED_GROWTH);
});
