import { expect, it } from 'vitest';
import { CHALLENGE_SECONDS, challengeKeyOf, createChallenges } from '../../../broker/enrolment/challenge.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';

const crypto = createCrypto(createSeededRandom(3));
const certifier = crypto.generate('ed25519');

/** A broker of the installation, with a clock and randomness of its own. */
function broker(seed: number, shared = certifier) {
  const clock = createManualClock();
  const key = challengeKeyOf(crypto, shared);
  return { clock, ...createChallenges(crypto, createSeededRandom(seed), clock, key) };
}

it('holds at every broker of the installation, also after a restart, until its end (E-4)', () => {
  const [one, other] = [broker(1), broker(2)];
  const challenge = one.issue();
  expect(other.check(challenge)).toBe(true);
  other.clock.advance(CHALLENGE_SECONDS * 1000 - 1);
  expect(other.check(challenge)).toBe(true);
  other.clock.advance(1);
  expect(other.check(challenge)).toBe(false);
  expect(one.check(challenge)).toBe(true);
});

it('is none of another installation, however it is changed, and not from a clock far ahead', () => {
  const [here, elsewhere, ahead] = [broker(1), broker(2, crypto.generate('ed25519')), broker(3)];
  expect(here.check(elsewhere.issue())).toBe(false);
  const challenge = here.issue();
  for (let at = 0; at < challenge.length - 1; at++) {
    const changed = challenge[at] === 'A' ? 'B' : 'A';
    expect(here.check(challenge.slice(0, at) + changed + challenge.slice(at + 1))).toBe(false);
  }
  ahead.clock.advance(600_000);
  expect(here.check(ahead.issue())).toBe(false);
});
