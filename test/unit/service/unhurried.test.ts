import { beforeEach, describe, expect, it } from 'vitest';
import type { Command, Outcome } from '../../../broker/core/command.ts';
import type { Ledger } from '../../../broker/ledger/ledger.ts';
import { createMemoryLedger } from '../../../broker/ledger/memory.ts';
import { createUnhurried, type Unhurried } from '../../../broker/service/unhurried.ts';
import { createManualClock, type ManualClock } from '../../doubles/manual-clock.ts';
import { accept } from '../lease-machine/world.ts';

let clock: ManualClock;
let groups: (readonly Command[])[];
let ledger: Ledger;
let unhurried: Unhurried;

beforeEach(() => {
  clock = createManualClock();
  const memory = createMemoryLedger({ clock });
  groups = [];
  const apply = (commands: readonly Command[]): Promise<readonly Outcome[]> => {
    groups.push(commands);
    return memory.apply(commands);
  };
  ledger = { ...memory, apply, job: (id) => memory.job(id) };
  unhurried = createUnhurried(clock, ledger);
});

describe('what nobody waits for', () => {
  it('goes to the ledger together, within 25 ms, each with its own outcome', async () => {
    const first = unhurried.apply(accept('j1'));
    await clock.run(20);
    const second = unhurried.apply(accept('j2'));
    expect(groups).toHaveLength(0);
    await clock.run(5);
    expect(groups.map((group) => group.length)).toEqual([2]);
    expect([await first, await second]).toMatchObject([{ job: { id: 'j1' } }, { job: { id: 'j2' } }]);
  });

  it('goes at once where the broker stops, and leaves no timer', async () => {
    const outcome = unhurried.apply(accept('j1'));
    unhurried.stop();
    expect(await outcome).toMatchObject({ kind: 'accepted' });
    await clock.run(1_000);
    expect(groups).toHaveLength(1);
  });

  it('fails with its group', async () => {
    ledger.apply = () => Promise.reject(new Error('the disk is away'));
    const failures = Promise.allSettled([unhurried.apply(accept('j1')), unhurried.apply(accept('j2'))]);
    await clock.run(25);
    expect((await failures).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  });
});
