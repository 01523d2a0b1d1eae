import { expect, it } from 'vitest';
import { BROKER_METRICS, type BrokerMetric, countOutcome } from '../../../broker/metrics.ts';
import type { Meter } from '../../../protocol/runtime/meter.ts';
import { createWorld, type World } from '../lease-machine/world.ts';
import {
  accept,
  discarded,
  finalised,
  hello,
  lease,
  report,
  told,
  verified,
} from '../lease-machine/world.ts';

/** What was added to each counter that has `events`, `cpu` or `wall` in its name. */
function counting(): { readonly meter: Meter<BrokerMetric>; readonly added: Map<string, number> } {
  const added = new Map<string, number>();
  const add = (name: string, label = '', by = 1): void => {
    const key = `${name} ${label}`;
    if (/events|cpu|wall/u.test(name)) added.set(key, (added.get(key) ?? 0) + by);
  };
  return { meter: { add, set: () => undefined, observe: () => undefined }, added };
}

it('counts what a framework took by site and by campaign, once, and nothing of what it refused', () => {
  const world: World = createWorld();
  const { meter, added } = counting();
  const play = (...commands: readonly Parameters<World['do']>[0][]): void => {
    for (const command of commands) countOutcome(meter, world.do(command).outcome);
  };
  const used = { wallSeconds: 100, cpuSeconds: 90, memoryMiB: 1, diskMiB: 1 };
  const run = (job: string, counter: number, attempt = 1): void =>
    play(
      lease('a', job, counter),
      report('a', job, attempt, counter + 1, { usage: used }),
      verified(job, attempt),
      finalised(job, attempt),
    );
  play(hello('a'), accept('j1'), accept('j2'), accept('j3', { campaign: 'second' }));
  play(lease('a', 'j1', 1), report('a', 'j1', 1, 2, { exit: { kind: 'exited', code: 3 }, usage: used }));
  run('j1', 3, 2);
  run('j2', 5);
  run('j3', 7);
  expect(added.size).toBe(0);
  play(told('j1', 'ok', '', 1_000), told('j1', 'ok', '', 1_000), told('j2', 'refused', 'no', 9), told('j3'));
  // Files of an attempt that came to nothing go later: no news of the result.
  play(discarded('j1', 1));
  const { site } = world.attempt('j1', 2);
  const { campaign } = world.job('j1');
  expect(Object.fromEntries(added)).toEqual({
    [`copilot_site_events_total ${site}`]: 1_000,
    [`copilot_site_cpu_seconds_total ${site}`]: 180,
    [`copilot_site_wall_seconds_total ${site}`]: 200,
    [`copilot_campaign_events_total ${campaign}`]: 1_000,
    [`copilot_campaign_cpu_seconds_total ${campaign}`]: 90,
    [`copilot_campaign_wall_seconds_total ${campaign}`]: 100,
    'copilot_campaign_events_total second': 0,
    'copilot_campaign_cpu_seconds_total second': 90,
    'copilot_campaign_wall_seconds_total second': 100,
  });
  for (const key of added.keys()) expect(BROKER_METRICS).toHaveProperty([key.split(' ')[0] ?? '']);
});
