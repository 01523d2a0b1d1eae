import { describe, expect, it } from 'vitest';
import { createMemoryLedger, createMemoryStore, type MemoryLedger } from '../../../broker/ledger/memory.ts';
import { ledgerConformance } from '../../conformance/ledger.ts';
import { ledgerKeepingConformance } from '../../conformance/ledger-keeping.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { accept, hello, lease } from '../lease-machine/world.ts';

describe('memory ledger', () => {
  const create = async () => {
    const clock = createManualClock();
    const store = createMemoryStore();
    let ledger: MemoryLedger;
    return {
      clock,
      open: async () => (ledger = createMemoryLedger({ clock, store })),
      crash: async () => ledger.crash(),
      dispose: async () => undefined,
    };
  };
  ledgerConformance(create);
  ledgerKeepingConformance(create);
});

describe('faults of the memory ledger', () => {
  it('fails one group whole and goes on with the next', async () => {
    const ledger = createMemoryLedger({ clock: createManualClock() });
    ledger.failNext('LEDGER_FULL');
    const group = Promise.allSettled([ledger.apply([accept('j1')]), ledger.apply([accept('j2')])]);
    expect((await group).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await ledger.list({ kind: 'all' }, '', 10)).toEqual([]);
    expect((await ledger.apply([accept('j1')]))[0]).toMatchObject({ kind: 'accepted' });
  });

  it('dies in the middle of a sync: the group is lost, and so are those behind it', async () => {
    const clock = createManualClock();
    const ledger = createMemoryLedger({ clock, syncMs: 5 });
    const calls = Promise.allSettled([ledger.apply([accept('j1')])]);
    await clock.run(1);
    const behind = Promise.allSettled([ledger.apply([accept('j2')])]);
    ledger.crash();
    await clock.run(10);
    expect((await calls)[0].status).toBe('rejected');
    expect((await behind)[0].status).toBe('rejected');
    const again = createMemoryLedger({ clock, store: ledger.store });
    expect(await again.list({ kind: 'all' }, '', 10)).toEqual([]);
  });

  it('dies after a sync: the group is durable and nobody has heard', async () => {
    const clock = createManualClock();
    const ledger = createMemoryLedger({ clock });
    await ledger.apply([hello('a'), accept('j1')]);
    ledger.crashAfterNextGroup();
    await expect(ledger.apply([lease('a', 'j1', 1)])).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    await expect(ledger.apply([accept('j2')])).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    const again = createMemoryLedger({ clock, store: ledger.store });
    expect((await again.apply([lease('a', 'j1', 1)]))[0]).toMatchObject({ kind: 'repeat' });
  });

  it('keeps an audit line for every lease, with ledger time', async () => {
    const ledger = createMemoryLedger({ clock: createManualClock() });
    await ledger.apply([hello('a'), accept('j1'), lease('a', 'j1', 1)]);
    expect(ledger.store.audit).toEqual([
      '{"atMs":0,"kind":"lease","job":"j1","attempt":1,"agent":"a","detail":"slot 1"}',
    ]);
  });
});
