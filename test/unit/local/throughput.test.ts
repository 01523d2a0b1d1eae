import { describe, expect, it } from 'vitest';
import type { JobChange } from '../../../adapters/jobs/local/queued-job.ts';
import { createThroughput, WINDOW_MS } from '../../../adapters/jobs/local/throughput.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';

function change(campaign: string, state: JobChange['state'] = 'finished'): JobChange {
  return {
    ...{ job: 'j', label: '', queue: 'main', campaign, state },
    ...{ attempt: 1, agent: '', progress: 1, reason: '' },
  };
}

describe('throughput', () => {
  it('is what finished in the last minutes, since the first of them', () => {
    const clock = createManualClock();
    const throughput = createThroughput(clock);
    expect(throughput.perMinute('campaign', 'a')).toBeNull();
    clock.advance(300_000);
    throughput.note([change('a'), change('a'), change('a', 'failed'), change('b')]);
    clock.advance(20_000);
    throughput.note([change('a')]);
    expect(throughput.perMinute('campaign', 'a')).toBeCloseTo(3 / 0.5);
    expect(throughput.perMinute('queue', 'main')).toBeCloseTo(4 / 0.5);
    expect(throughput.perMinute('campaign', 'none')).toBeNull();
  });

  it('forgets what is past the window', () => {
    const clock = createManualClock();
    const throughput = createThroughput(clock);
    clock.advance(60_000);
    throughput.note([change('a')]);
    clock.advance(WINDOW_MS - 10_000);
    expect(throughput.perMinute('campaign', 'a')).toBeGreaterThan(0);
    clock.advance(10_000);
    expect(throughput.perMinute('campaign', 'a')).toBeNull();
  });

  it('I9 measures so many names at most, and forgets the one without news for longest', () => {
    const clock = createManualClock();
    const throughput = createThroughput(clock, 3);
    clock.advance(60_000);
    // Each change counts for its campaign and for the one queue.
    for (const name of ['a', 'b', 'c']) throughput.note([change(name)]);
    expect(throughput.perMinute('campaign', 'a')).toBeNull();
    expect(throughput.perMinute('campaign', 'b')).not.toBeNull();
    expect(throughput.perMinute('campaign', 'c')).not.toBeNull();
  });
});
