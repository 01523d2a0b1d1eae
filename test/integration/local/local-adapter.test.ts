import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalAdapter } from '../../../adapters/jobs/local/local-adapter.ts';
import { openLocalQueue } from '../../../adapters/jobs/local/local-queue.ts';
import { createLog } from '../../../protocol/runtime/log.ts';
import { type JobAdapterFixture, jobAdapterConformance } from '../../conformance/job-adapter.ts';
import { createManualClock, type ManualClock } from '../../doubles/manual-clock.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';

const log = createLog('test', { level: 'silent' });
let serial = 0;

async function openFixture(directory: string, clock: ManualClock): Promise<JobAdapterFixture> {
  const random = createSeededRandom(++serial);
  const queue = await openLocalQueue({ path: join(directory, 'queue.sqlite'), clock, random, log });
  const adapter = createLocalAdapter({ queue, clock });
  const stop = async (): Promise<void> => {
    adapter.stop();
    await queue.close();
  };
  return {
    adapter,
    async submit(name, jobs) {
      const ids = jobs.map(async ({ owner = 'tester', campaign = 'suite', ref, ...job }) => {
        const key = `key-${++serial}`;
        const submitted = [{ ...job, label: ref, retries: 1 }];
        return (await queue.submit({ key, queue: name, campaign, owner, jobs: submitted })).jobs;
      });
      return (await Promise.all(ids)).flat();
    },
    async cancel(job) {
      await queue.cancel(job);
    },
    state: async (job) => queue.show(job)?.state ?? 'unknown',
    advance: (ms) => clock.run(ms),
    async reopen() {
      await stop();
      return openFixture(directory, clock);
    },
    async close() {
      await stop();
      await rm(directory, { recursive: true });
    },
  };
}

jobAdapterConformance('local', async () =>
  openFixture(await mkdtemp(join(tmpdir(), 'co-pilot-queue-')), createManualClock()),
);
