import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openLedgerIn, openSqliteLedger } from '../../../broker/ledger/sqlite.ts';
import { createManualClock, type ManualClock } from '../../doubles/manual-clock.ts';
import { eventuallyTrue } from '../../doubles/eventually.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { accept, hello, lease, TERMS } from '../lease-machine/world.ts';

let folder: string;
let clock: ManualClock;
let deaths: number;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'co-pilot-thread-'));
  clock = createManualClock();
  deaths = 0;
});
afterEach(() => rm(folder, { recursive: true }));

const options = () => ({
  path: join(folder, 'ledger.sqlite'),
  clock,
  log: silentLog,
  onDeath: () => void (deaths += 1),
});

/** A program for the thread, instead of the ledger's own. */
async function program(text: string): Promise<URL> {
  const path = join(folder, 'program.mjs');
  await writeFile(path, `import { parentPort } from 'node:worker_threads';\n${text}`);
  return pathToFileURL(path);
}

const opening = "parentPort.postMessage({ kind: 'value', value: null });";

describe('a ledger in its thread', () => {
  it('answers everything that can be asked, by this side’s clock', async () => {
    const ledger = await openSqliteLedger(options());
    await ledger.apply([hello('a'), accept('j1'), accept('j2'), lease('a', 'j1', 1)]);
    expect(await ledger.due(10)).toEqual([]);
    clock.advance(TERMS.firstRenewMs + 1);
    expect(await ledger.due(10)).toEqual(['j1']);
    expect((await ledger.list({ kind: 'queued' }, '', 10)).map(({ job }) => job.id)).toEqual(['j2']);
    expect((await ledger.job('j1'))?.job.state).toBe('leased');
    expect(await ledger.agent('a')).toMatchObject({ held: [{ job: 'j1' }] });
    expect(await ledger.count()).toMatchObject({ queued: 1, leased: 1 });
    await Promise.all([ledger.close(), ledger.close()]);
    expect(deaths).toBe(0);
    await expect(ledger.apply([accept('j3')])).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    await expect(ledger.job('j1')).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
  });

  it('says by its code why it cannot be opened, and leaves no thread', async () => {
    await writeFile(options().path, 'no ledger at all, though long enough to be one\n'.repeat(100));
    await expect(openSqliteLedger(options())).rejects.toMatchObject({ code: 'LEDGER_CORRUPT' });
    await expect(
      openSqliteLedger({ ...options(), path: join(folder, 'missing', 'ledger.sqlite') }),
    ).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
  });

  it('that faults says so to whoever asked, and serves the next', async () => {
    const faulty = `${opening}
      let times = 0;
      parentPort.on('message', ({ kind }) => {
        const isFirst = times++ === 0;
        parentPort.postMessage(isFirst ? { kind: 'fault', code: 'LEDGER_FULL', message: 'full' } : { kind: 'value', value: {} });
        if (kind === 'close') parentPort.close();
      });`;
    const ledger = await openLedgerIn(await program(faulty), options());
    await expect(ledger.count()).rejects.toMatchObject({ code: 'LEDGER_FULL' });
    expect(await ledger.count()).toEqual({});
    await ledger.close();
  });

  it('that dies by itself is said once, and every question fails with it', async () => {
    const dying = `${opening} parentPort.on('message', () => { throw new Error('out of memory'); });`;
    const ledger = await openLedgerIn(await program(dying), options());
    const asked = await Promise.allSettled([ledger.count(), ledger.due(1), ledger.apply([accept('j1')])]);
    for (const answer of asked)
      expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'LEDGER_UNAVAILABLE' } });
    await eventuallyTrue('the death to be said', () => deaths === 1, 5_000);
    await expect(ledger.agent('a')).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    await ledger.close();
  });
});
