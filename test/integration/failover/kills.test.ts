import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventuallyTrue } from '../../doubles/eventually.ts';
import { LACKS_RABBIT } from '../../doubles/locked-rabbitmq.ts';
import {
  type FailoverWorld,
  killRepeatedly,
  leaseLongJobs,
  openFailoverWorld,
  percentile,
} from '../../doubles/failover-world.ts';

const AGENTS = 3;
const KILLS = 20;
const SHORT_JOBS = 30;
const WITHIN_MS = 10_000;

describe.skipIf(LACKS_RABBIT)('agents on RabbitMQ and WebSocket (left out where it is not installed)', () => {
  let world: FailoverWorld;
  beforeAll(async () => {
    world = await openFailoverWorld();
  }, 120_000);
  afterAll(() => world.close(), 60_000);

  it('lose no job and have none committed twice in 20 losses, and renew within 10 s of each', async () => {
    const { broker, directory } = world;
    const end = join(directory, 'end');
    // One job of each agent lasts over all losses; another agent's come and go meanwhile.
    const long = await leaseLongJobs(world, AGENTS, end);
    const short = Array.from({ length: SHORT_JOBS }, (_, at) =>
      broker.submit({ command: 'sh', arguments: ['-c', `echo ${at} > events.dat; sleep 0.5`] }),
    );
    const { awayMs } = await killRepeatedly(world, KILLS, AGENTS, () => world.startAgents(1, 2));
    await writeFile(end, '');

    const jobs = [...long, ...short];
    const told = (): number => jobs.filter((job) => (broker.framework.record(job)?.told ?? 0) > 0).length;
    await eventuallyTrue('all jobs to end', () => told() === jobs.length, 120_000);
    for (const job of jobs) {
      expect(broker.framework.record(job)?.progress.state).toBe('finished');
      const { job: row } = await broker.job(job);
      expect(row.attempts.filter(({ state }) => state === 'committed')).toHaveLength(1);
    }
    // In the middle of a job: it is the first attempt that came to its end.
    for (const job of long) expect((await broker.job(job)).job.attempts).toHaveLength(1);
    expect(awayMs).toHaveLength(KILLS * AGENTS);
    expect(percentile(awayMs, 0.95)).toBeLessThan(WITHIN_MS);
    const { rabbitmq, websocket } = world.connections();
    expect(Math.min(rabbitmq, websocket)).toBeGreaterThanOrEqual((KILLS / 2) * AGENTS);
  }, 240_000);
});
