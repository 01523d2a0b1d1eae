import { describe, expect, it } from 'vitest';
import { createHostClasses } from '../../../broker/matching/host-class.ts';
import { createSeenAgents } from '../../../broker/service/seen-agents.ts';
import { createTroubles } from '../../../broker/service/troubles.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';

const host = createHostClasses()({ Cpus: 1 });

describe('troubles', () => {
  it('are counted while a step fails, with the code that the adapter answered, and forgotten when it is done', async () => {
    const clock = createManualClock();
    const troubles = createTroubles(clock);
    troubles.failed('job', 'verify', new CoPilotError('TIMEOUT', 'no answer'));
    await clock.run(2_000);
    troubles.failed('job', 'verify', new Error('the adapter answered STORAGE_FULL: no room'));
    troubles.failed('job', 'tell', new Error('odd'));
    const [verify, tell] = troubles.of('job');
    expect(verify).toMatchObject({ step: 'verify', code: 'STORAGE_FULL', times: 2 });
    expect(verify!.lastMs - verify!.sinceMs).toBe(2_000);
    expect(tell).toMatchObject({ code: 'INTERNAL', times: 1 });
    troubles.went('job', 'verify');
    troubles.went('job', 'tell');
    troubles.went('other', 'tell');
    expect(troubles.of('job')).toEqual([]);
  });

  it('I9 are of so many jobs and no more, and short', () => {
    const troubles = createTroubles(createManualClock());
    for (let job = 0; job < 5_000; job += 1)
      troubles.failed(`job-${job}`, 'verify', new Error('x'.repeat(10_000)));
    expect(troubles.of('job-0')).toEqual([]);
    expect(troubles.of('job-4999')[0]!.message.length).toBeLessThanOrEqual(300);
  });
});

describe('agents seen', () => {
  it('I9 are so many and no more; who asks again is not away', () => {
    const seen = createSeenAgents(createManualClock());
    for (let agent = 0; agent < 17_000; agent += 1)
      seen.asked({ agent: `a${agent}`, owner: 'o', host, answer: 'none' });
    for (let agent = 0; agent < 2_000; agent += 1) seen.sentAway(`b${agent}`, 'o', 'REVOKED');
    expect([...seen.agents]).toHaveLength(16_384);
    expect([...seen.away]).toHaveLength(1_024);
    seen.asked({ agent: 'b1999', owner: 'o', host, answer: 'none' });
    expect([...seen.away].map(({ agent }) => agent)).not.toContain('b1999');
  });
});
