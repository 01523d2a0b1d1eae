import { describe, expect, it } from 'vitest';
import { createEvictions, endsConnections } from '../../../broker/service/evictions.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { silentLog } from '../../doubles/silent-log.ts';

function stage(failures = 0) {
  const clock = createManualClock();
  const asked: string[] = [];
  let left = failures;
  const served = new Set<string>();
  const evictions = createEvictions({
    clock,
    isServed: (agent) => served.has(agent),
    log: silentLog,
    async evict(agent, addresses) {
      asked.push(`${agent} at ${addresses.join(' ')}`);
      if (left-- > 0) throw new CoPilotError('UNREACHABLE', 'the bus does not answer');
    },
  });
  return { clock, asked, evictions, served };
}

describe('an agent that is served no more', () => {
  it('loses its connections a moment later, all in one', async () => {
    const { clock, asked, evictions } = stage();
    evictions.evict('one', 'peer-1');
    evictions.evict('one', 'peer-2');
    evictions.evict('one');
    expect(asked).toEqual([]);
    await clock.run(500);
    expect(asked).toEqual(['one at peer-1 peer-2']);
  });

  it('loses one that the bus did not know of yet: it is looked at twice', async () => {
    const { clock, asked, evictions } = stage();
    evictions.evict('one', 'peer-1');
    await clock.run(500);
    expect(asked).toHaveLength(1);
    await clock.run(3_600_000);
    expect(asked).toEqual(['one at peer-1', 'one at peer-1']);
  });

  it('loses them when the bus answers again, and is given up after some tries', async () => {
    const { clock, asked, evictions } = stage(2);
    evictions.evict('one', 'peer-1');
    await clock.run(3_600_000);
    expect(asked).toHaveLength(3);
    const broken = stage(100);
    broken.evictions.evict('one');
    await broken.clock.run(3_600_000);
    expect(broken.asked).toHaveLength(4);
  });

  it('keeps the one it came again by, with a renewed identity', async () => {
    const { clock, asked, evictions, served } = stage();
    evictions.evict('one', 'peer-1');
    served.add('one');
    await clock.run(3_600_000);
    expect(asked).toEqual([]);
  });

  it('is left alone once the broker stops', async () => {
    const { clock, asked, evictions } = stage();
    evictions.evict('one');
    evictions.stop();
    evictions.evict('two');
    await clock.run(10_000);
    expect(asked).toEqual([]);
  });

  it.each([
    ['REVOKED', true],
    ['QUARANTINED', true],
    ['BANNED', true],
    ['IDENTITY_EXPIRED', true],
    ['SUPERSEDED', false],
    ['OTHER_OWNER', false],
  ] as const)('%s ends its connections: %s', (code, ends) => {
    expect(endsConnections(code)).toBe(ends);
  });
});
