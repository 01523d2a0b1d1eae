import { describe, expect, it } from 'vitest';
import { createEndedLogins } from '../../../broker/enrolment/ended-logins.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';

const crypto = createCrypto();
const KEY = crypto.generate('p256').publicKey;
const OTHER = crypto.generate('p256').publicKey;

function stage() {
  const clock = createManualClock();
  const ended: string[] = [];
  const accepted = new Set([KEY, OTHER]);
  const logins = createEndedLogins(
    clock,
    (signer) => accepted.has(signer),
    (agent) => void ended.push(agent),
  );
  const inSeconds = (seconds: number, signer = KEY) => ({
    signer,
    endsSeconds: clock.wallMs() / 1000 + seconds,
  });
  return { clock, ended, accepted, logins, inSeconds };
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

  it('is told of at once where the key that signed it counts no more, unless it came again by another', async () => {
    const { clock, ended, accepted, logins, inSeconds } = stage();
    logins.loggedIn('one', inSeconds(9_000));
    logins.loggedIn('two', inSeconds(9_000));
    accepted.delete(KEY);
    logins.loggedIn('two', inSeconds(1_000, OTHER));
    await clock.run(10_000);
    expect(ended).toEqual(['one']);
    logins.stop();
  });
});
