import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventuallyTrue } from '../doubles/eventually.ts';
import {
  type FailoverWorld,
  killRepeatedly,
  leaseLongJobs,
  openFailoverWorld,
  percentile,
} from '../doubles/failover-world.ts';
import { LACKS_RABBIT } from '../doubles/locked-rabbitmq.ts';

const AGENTS = 50;
const KILLS = 100;
const WITHIN_MS = 10_000;

describe.skipIf(LACKS_RABBIT)(
  '50 agents on RabbitMQ and WebSocket (left out where it is not installed)',
  () => {
    let world: FailoverWorld;
    beforeAll(async () => {
      world = await openFailoverWorld();
    });
    afterAll(() => world.close());

    it('lose no job and have none committed twice in 100 losses, and renew within 10 s of each', async () => {
      const { broker, directory } = world;
      const end = join(directory, 'end');
      const jobs = await leaseLongJobs(world, AGENTS, end);
      const { awayMs } = await killRepeatedly(world, KILLS, AGENTS);
      await writeFile(end, '');
      const told = (): number => jobs.filter((job) => (broker.framework.record(job)?.told ?? 0) > 0).length;
      await eventuallyTrue('all jobs to end', () => told() === jobs.length, 240_000);
      for (const job of jobs) {
        const { job: row } = await broker.job(job);
        expect(row.attempts.map(({ state }) => state)).toEqual(['committed']);
      }
      expect(awayMs).toHaveLength(KILLS * AGENTS);
      expect(percentile(awayMs, 0.95)).toBeLessThan(WITHIN_MS);
    });
  },
);
