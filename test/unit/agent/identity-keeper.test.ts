import { expect, it } from 'vitest';
import { createIdentityKeeper } from '../../../agent/loop/identity-keeper.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';

const quiet = (): void => undefined;
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
const HOUR_MS = 3_600_000;

function keep(lifeSeconds: number, ageSeconds: number, failures = 0) {
  const clock = createManualClock();
  const renewedMs: number[] = [];
  let told = 0;
  let left = failures;
  const keeper = createIdentityKeeper({
    clock,
    random: createSeededRandom(1),
    log,
    lifeSeconds,
    ageSeconds,
    renew: async () => {
      renewedMs.push(clock.monotonicMs());
      if (left-- > 0) throw new CoPilotError('UNREACHABLE', 'nobody is there');
      return lifeSeconds;
    },
    onRenewed: () => {
      told += 1;
    },
  });
  return { clock, keeper, renewedMs, told: () => told };
}

it('renews at two thirds of the life, and again and again', async () => {
  const { clock, keeper, renewedMs, told } = keep(24 * 3600, 0);
  await clock.run(15 * HOUR_MS);
  expect(renewedMs).toEqual([]);
  await clock.run(50 * HOUR_MS);
  expect(renewedMs).toEqual([16, 32, 48, 64].map((hours) => hours * HOUR_MS));
  expect(told()).toBe(4);
  keeper.stop();
  expect(clock.pending()).toBe(0);
});

it('renews at once what was kept too long', async () => {
  const { clock, keeper, renewedMs } = keep(24 * 3600, 20 * 3600);
  await clock.run(1);
  expect(renewedMs).toHaveLength(1);
  keeper.stop();
});

it('tries again, ever more slowly, while nobody answers', async () => {
  const { clock, keeper, renewedMs, told } = keep(24 * 3600, 20 * 3600, 5);
  await clock.run(HOUR_MS);
  expect(renewedMs).toHaveLength(6);
  expect(told()).toBe(1);
  const waits = renewedMs.slice(1).map((time, index) => time - (renewedMs[index] ?? 0));
  expect(waits[4]).toBeGreaterThan((waits[0] ?? 0) * 4);
  keeper.stop();
});

it('renews once however many ask at the same time, and tells each of them', async () => {
  const { keeper, renewedMs } = keep(3600, 0);
  await Promise.all([keeper.renewNow(), keeper.renewNow()]);
  expect(renewedMs).toHaveLength(1);
  keeper.stop();
});

it('notices that the machine slept through the time', async () => {
  const { clock, keeper, renewedMs } = keep(24 * 3600, 0);
  clock.jumpWall(20 * HOUR_MS);
  await clock.run(HOUR_MS + 1);
  expect(renewedMs).toHaveLength(1);
  keeper.stop();
});
