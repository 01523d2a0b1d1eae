import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTransfers } from '../../../agent/transfers/http-transfers.ts';
import { nameOnDisk } from '../../../adapters/storage/bridge/places.ts';
import type { Capability } from '../../../protocol/generated/types.ts';
import { nodeClock, nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import type { BridgeCommand, BridgeReply } from '../../doubles/bridge-process.ts';
import {
  asOperator,
  attemptOf,
  createTestAgent,
  crypto,
  fileOf,
  grantFor,
  JOB,
  mintPut,
  openBridgeWorld,
  putInput,
  sha256Of,
  someBytes,
} from '../../doubles/bridge-world.ts';
import { createFaultyDisk } from '../../doubles/faulty-disk.ts';
import { freePort } from '../../doubles/free-port.ts';
import { silentLog } from '../../doubles/silent-log.ts';

const script = new URL('../../doubles/bridge-process.ts', import.meta.url);
const agent = createTestAgent();
const transfers = createTransfers({
  clock: nodeClock,
  crypto,
  key: agent.key,
  log: silentLog,
  random: nodeRandom,
  tuning: { chunkBytes: 100_000, attempts: 3, baseMs: 10, maxMs: 20, idleMs: 3000 },
});
const forever = new AbortController().signal;
const small = someBytes(2000);
const large = someBytes(250_000);
const files = [fileOf('small', small), fileOf('large', large)];

let directory: string;
let port: number;
let child: ChildProcess;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bridge-crash-'));
  port = await freePort();
  await writeFile(join(directory, 'small'), small);
  await writeFile(join(directory, 'large'), large);
});
afterEach(async () => {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  await rm(directory, { recursive: true, force: true });
});

async function start(fatal = ''): Promise<void> {
  child = fork(script, [join(directory, 'bridge'), String(port), fatal], { execArgv: [] });
  const [hello] = await once(child, 'message');
  expect(hello).toEqual({ ok: `http://127.0.0.1:${port}` });
}

/** The answer, or 'killed' where the bridge died before it came. */
async function tell(command: BridgeCommand): Promise<BridgeReply | 'killed'> {
  child.send(command);
  const over = new AbortController();
  try {
    const died = once(child, 'exit', { signal: over.signal }).then((): 'killed' => 'killed');
    const answered = once(child, 'message', { signal: over.signal }).then(([reply]): BridgeReply => reply);
    died.catch(() => undefined);
    answered.catch(() => undefined);
    return await Promise.race([died, answered]);
  } finally {
    over.abort();
  }
}

async function mint(): Promise<ReadonlyMap<string, Capability>> {
  const put = files.map(({ name, size }) => ({ name, maxBytes: size }));
  const reply = await tell({ op: 'mint', grant: grantFor(agent.jkt, { put }) });
  if (reply === 'killed' || !('ok' in reply)) throw new Error('nothing was minted');
  const minted = reply.ok as readonly Capability[];
  return new Map(minted.map((capability) => [capability.name, capability]));
}

/** Uploads both files; true where both were acknowledged. */
async function upload(rights: ReadonlyMap<string, Capability>): Promise<boolean> {
  try {
    for (const [name, bytes] of [
      ['small', small],
      ['large', large],
    ] as const) {
      const facts = { size: bytes.length, sha256: sha256Of(bytes) };
      await transfers.upload(join(directory, name), rights.get(name)!, facts, forever);
    }
    return true;
  } catch {
    return false;
  }
}

const attempt = attemptOf();
const ok = { ok: null };

/** What broker and agent do, each step again until it is answered. */
async function finish(): Promise<void> {
  const verified = await tell({ op: 'verify', attempt, manifest: files });
  expect(verified).toEqual({ ok: { kind: 'verified', files } });
  expect(await tell({ op: 'finalise', attempt, manifest: files })).toEqual(ok);
  expect(await tell({ op: 'finalise', attempt, manifest: files })).toEqual(ok);
  expect(await tell({ op: 'discard', attempt })).toEqual({ code: 'ATTEMPT_NOT_LIVE' });
  for (const [name, bytes] of [
    ['small', small],
    ['large', large],
  ] as const) {
    const answer = await asOperator({
      method: 'GET',
      url: `http://127.0.0.1:${port}/v1/results/${JOB}/1/${name}`,
    });
    expect(answer.body.equals(bytes)).toBe(true);
  }
}

async function onDisk(): Promise<readonly string[]> {
  const entries = await readdir(join(directory, 'bridge', 'attempts'), {
    recursive: true,
    withFileTypes: true,
  });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
    .sort();
}

describe('a bridge killed with SIGKILL', () => {
  it.each(['before open', 'after open', 'before write', 'after write', 'before sync', 'after sync'])(
    '%s in an upload loses nothing it acknowledged, and the upload goes on after the restart',
    async (step) => {
      await start(step);
      const rights = await mint();
      expect(await upload(rights)).toBe(false);
      await start();
      expect(await upload(rights)).toBe(true);
      await finish();
      expect(await onDisk()).toEqual(['small', 'large'].map(nameOnDisk).sort());
    },
  );

  it.each(['before verify', 'after verify', 'before finalise', 'after finalise'])(
    '%s: the same calls again end the same',
    async (step) => {
      await start(step);
      expect(await upload(await mint())).toBe(true);
      const replies = [
        await tell({ op: 'verify', attempt, manifest: files }),
        ...(step.endsWith('finalise') ? [await tell({ op: 'finalise', attempt, manifest: files })] : []),
      ];
      expect(replies.at(-1)).toBe('killed');
      await start();
      await finish();
    },
  );

  it('after finalise, before what is beside the manifest is removed: the result stands, the rest is swept up', async () => {
    await start('before remove');
    expect(await upload(await mint())).toBe(true);
    const manifest = files.slice(0, 1);
    expect(await tell({ op: 'finalise', attempt, manifest })).toBe('killed');
    expect(await onDisk()).toHaveLength(2);
    await start();
    expect(await tell({ op: 'swept' })).toEqual({ ok: 1 });
    expect(await onDisk()).toEqual([nameOnDisk('small')]);
    expect(await tell({ op: 'verify', attempt, manifest })).toEqual({
      ok: { kind: 'verified', files: manifest },
    });
    expect(await tell({ op: 'finalise', attempt, manifest: files })).toEqual({ code: 'DIGEST_MISMATCH' });
  });

  it.each(['before discard', 'before remove', 'after remove', 'after discard'])(
    '%s: the attempt is gone in the end, and stays gone',
    async (step) => {
      await start(step);
      expect(await upload(await mint())).toBe(true);
      expect(await tell({ op: 'discard', attempt })).toBe('killed');
      await start();
      await tell({ op: 'swept' });
      if (step === 'before discard') expect(await tell({ op: 'discard', attempt })).toEqual(ok);
      expect(await tell({ op: 'finalise', attempt, manifest: files })).toEqual({ code: 'ATTEMPT_NOT_LIVE' });
      expect(await tell({ op: 'discard', attempt })).toEqual(ok);
      expect(await onDisk()).toEqual([]);
    },
  );

  it.each(['before rename', 'after rename'])(
    '%s of an input: it is brought again, and no leftover stays',
    async (step) => {
      await start(step);
      const url = `http://127.0.0.1:${port}`;
      await expect(putInput(url, large)).rejects.toThrow();
      await start();
      expect((await putInput(url, large)).status).toBe(201);
      expect(await readdir(join(directory, 'bridge', 'inputs'))).toEqual([sha256Of(large)]);
    },
  );
});

describe('a power cut, which keeps only what was synced', () => {
  it('loses no file that was acknowledged, and lets one half sent be sent again', async () => {
    await start(); // so that afterEach has a process to end
    const disk = createFaultyDisk();
    const world = await openBridgeWorld({ disk });
    try {
      const half = await mintPut(world, 'half');
      expect((await world.agent.put(await mintPut(world, 'small'), small)).status).toBe(201);
      for (const [from, to] of [
        [0, 100_000],
        [100_000, 250_000],
      ] as const)
        await world.agent.patch(await mintPut(world, 'large'), { whole: large, start: from, end: to });
      await world.agent.patch(half, { whole: large, start: 0, end: 100_000 });
      await world.bridge().stop();
      await disk.cutPower();
      await world.restart();
      expect((await world.agent.head(half)).headers['upload-offset']).toBe('0');
      expect((await world.agent.patch(half, { whole: large, start: 0, end: 250_000 })).status).toBe(204);
      const all = [...files, fileOf('half', large)];
      await world.bridge().adapter.verify(attempt, all);
      await world.bridge().adapter.finalise(attempt, all);
      for (const { name, sha256 } of all) {
        const answer = await asOperator({ method: 'GET', url: `${world.url()}/v1/results/${JOB}/1/${name}` });
        expect(sha256Of(answer.body)).toBe(sha256);
      }
    } finally {
      await world.close();
    }
  });
});
