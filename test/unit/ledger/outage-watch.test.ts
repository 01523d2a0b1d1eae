import { describe, expect, it } from 'vitest';
import { createOutageWatch } from '../../../broker/ledger/outage-watch.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';

function setUp() {
  const clock = createManualClock();
  const watch = createOutageWatch(clock);
  watch.seen(1_000_000);
  return { clock, watch };
}

describe('the clock of the ledger against that of this machine', () => {
  it('is no outage while both go on, for however long nobody looks', () => {
    const { clock, watch } = setUp();
    clock.advance(3_600_000);
    expect(watch.isAfterOutage(1_000_000 + 3_600_000)).toBe(false);
    expect(watch.isAfterOutage(1_000_000 + 3_600_000 + 15_000)).toBe(false);
  });

  it('is one where the ledger went on alone: this machine slept, or that clock was set forward', () => {
    const { clock, watch } = setUp();
    clock.advance(1_000);
    expect(watch.isAfterOutage(1_000_000 + 1_000 + 15_001)).toBe(true);
  });

  it('is one where nothing was heard of the ledger for long, and none where it was soon back', () => {
    const { clock, watch } = setUp();
    watch.lost();
    clock.advance(15_000);
    expect(watch.isAfterOutage(1_015_000)).toBe(false);
    clock.advance(1);
    expect(watch.isAfterOutage(1_015_001)).toBe(true);
    watch.seen(1_015_001);
    expect(watch.isAfterOutage(1_015_001)).toBe(false);
  });

  it('is none where that clock was set back, and none before anything was seen', () => {
    const { watch } = setUp();
    expect(watch.isAfterOutage(0)).toBe(false);
    expect(createOutageWatch(createManualClock()).isAfterOutage(1e12)).toBe(false);
  });
});
