import { describe, expect, it } from 'vitest';
import { createOutageWatch } from '../../../broker/ledger/outage-watch.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';

/** A ledger that was seen at 1,000,000 of its clock. */
function setUp() {
  const clock = createManualClock();
  const watch = createOutageWatch(clock);
  watch.done(watch.read(1_000_000));
  return { clock, watch, isAfterOutage: (ledgerMs: number) => watch.isAfterOutage(watch.read(ledgerMs)) };
}

describe('the clock of the ledger against that of this machine', () => {
  it('is no outage while both go on, for however long nobody looks', () => {
    const { clock, isAfterOutage } = setUp();
    clock.advance(3_600_000);
    expect(isAfterOutage(1_000_000 + 3_600_000)).toBe(false);
    expect(isAfterOutage(1_000_000 + 3_600_000 + 15_000)).toBe(false);
  });

  it('is one where the ledger went on alone: this machine slept, or that clock was set forward', () => {
    const { clock, isAfterOutage } = setUp();
    clock.advance(1_000);
    expect(isAfterOutage(1_000_000 + 1_000 + 15_001)).toBe(true);
  });

  it('is one where nothing was heard of the ledger for long, and none where it was soon back', () => {
    const { clock, watch, isAfterOutage } = setUp();
    watch.lost();
    clock.advance(15_000);
    expect(isAfterOutage(1_015_000)).toBe(false);
    clock.advance(1);
    expect(isAfterOutage(1_015_001)).toBe(true);
    watch.done(watch.read(1_015_001));
    expect(isAfterOutage(1_015_001)).toBe(false);
  });

  it('is one where the ledger took long to make something durable: nobody could renew meanwhile', () => {
    const { clock, watch, isAfterOutage } = setUp();
    const begun = watch.read(1_000_000);
    clock.advance(15_000);
    watch.done(begun);
    expect(isAfterOutage(1_015_000)).toBe(false);
    const stalled = watch.read(1_015_000);
    clock.advance(15_001);
    watch.done(stalled);
    expect(isAfterOutage(1_030_001)).toBe(true);
  });

  it('is none where that clock was set back, and none before anything was seen', () => {
    const { isAfterOutage } = setUp();
    expect(isAfterOutage(0)).toBe(false);
    const unseen = createOutageWatch(createManualClock());
    expect(unseen.isAfterOutage(unseen.read(1e12))).toBe(false);
  });
});
