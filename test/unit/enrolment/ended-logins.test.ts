import { describe, expect, it } from 'vitest';
import { createEndedLogins } from '../../../broker/enrolment/ended-logins.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';

function stage() {
  const clock = createManualClock();
  const ended: string[] = [];
  const logins = createEndedLogins(clock, (agent) => void ended.push(agent));
  const inSeconds = (seconds: number) => clock.wallMs() / 1000 + seconds;
  return { clock, ended, logins, inSeconds };
}

describe('an agent whose identity ends on a live connection', () => {
  it('is told of once, when what clocks may differ is over too', async () => {
    const { clock, ended, logins, inSeconds } = stage();
    logins.loggedIn('one', inSeconds(100));
    await clock.run(155_000);
    expect(ended).toEqual([]);
    await clock.run(20_000);
    expect(ended).toEqual(['one']);
    await clock.run(600_000);
    expect(ended).toEqual(['one']);
  });

  it('is not, where a later identity logged in meanwhile, whatever came last', async () => {
    const { clock, ended, logins, inSeconds } = stage();
    logins.loggedIn('one', inSeconds(1_000));
    logins.loggedIn('one', inSeconds(100));
    await clock.run(500_000);
    expect(ended).toEqual([]);
    logins.stop();
    await clock.run(1_000_000);
    expect(ended).toEqual([]);
  });
});
