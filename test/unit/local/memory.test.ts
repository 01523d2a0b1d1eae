import { describe, expect, it } from 'vitest';
import {
  createMemoryJobAdapter,
  type MemoryJob,
  type MemoryJobAdapter,
} from '../../../adapters/jobs/memory.ts';
import {
  type JobAdapterFixture,
  jobAdapterConformance,
  wanted,
  type WantedJob,
} from '../../conformance/job-adapter.ts';
import { createManualClock, type ManualClock } from '../../doubles/manual-clock.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';

const usage = { wallSeconds: 1, cpuSeconds: 1, memoryMiB: 16, diskMiB: 1 };

function memoryJob(job: WantedJob): MemoryJob {
  return { owner: 'tester', campaign: 'suite', ...job, site: 'local', retries: 1 };
}

function fixtureOf(adapter: MemoryJobAdapter, clock: ManualClock): JobAdapterFixture {
  return {
    adapter,
    submit: async (queue, jobs) => adapter.submit(queue, jobs.map(memoryJob)),
    cancel: async (job) => adapter.cancel(job),
    state: async (job) => adapter.record(job)?.progress.state ?? 'unknown',
    advance: (ms) => clock.run(ms),
    async reopen() {
      adapter.crash();
      adapter.restart();
      return fixtureOf(adapter, clock);
    },
    async close() {
      adapter.crash();
      expect(clock.pending()).toBe(0);
    },
  };
}

function create(seed = 1): { adapter: MemoryJobAdapter; clock: ManualClock } {
  const clock = createManualClock();
  return { adapter: createMemoryJobAdapter({ clock, random: createSeededRandom(seed) }), clock };
}

jobAdapterConformance('memory', async () => {
  const { adapter, clock } = create();
  return fixtureOf(adapter, clock);
});

describe('faults of the memory job adapter', () => {
  it('does the work of a call whose answer is lost', async () => {
    const { adapter, clock } = create();
    const [id] = adapter.submit('main', [memoryJob(wanted('one'))]);
    adapter.setFaults({ lostReply: 1 });
    await expect(adapter.fetch('main', 1, [])).rejects.toMatchObject({ code: 'UNREACHABLE' });
    await expect(adapter.finished(id!, 1, [], usage, '')).rejects.toMatchObject({ code: 'UNREACHABLE' });
    adapter.setFaults({ lostReply: 0 });
    expect(await adapter.finished(id!, 1, [], usage, '')).toBe('ok');
    expect(adapter.record(id!)).toMatchObject({ told: 2, progress: { state: 'finished' } });
    expect(clock.pending()).toBe(0);
  });

  it('does nothing while it is down or dead', async () => {
    const { adapter } = create();
    const [id] = adapter.submit('main', [memoryJob(wanted('one'))]);
    adapter.setFaults({ down: true });
    await expect(adapter.finished(id!, 1, [], usage, '')).rejects.toMatchObject({ code: 'UNREACHABLE' });
    adapter.setFaults({ down: false });
    adapter.crash();
    await expect(adapter.fetch('main', 1, [])).rejects.toMatchObject({ code: 'UNREACHABLE' });
    adapter.restart();
    expect((await adapter.fetch('main', 1, [])).jobs).toHaveLength(1);
    expect(adapter.record(id!)?.told).toBe(0);
  });

  it('refuses a result where told to', async () => {
    const { adapter } = create();
    const [id] = adapter.submit('main', [memoryJob(wanted('one'))]);
    adapter.setFaults({ refuses: (job) => job === id });
    expect(await adapter.finished(id!, 1, [], usage, '')).toBe('refused');
    expect(adapter.record(id!)?.progress.state).toBe('pending');
  });

  it('repeats exactly with the same seed', () => {
    const ids = [create(7), create(7), create(8)].map(({ adapter }) =>
      adapter.submit('main', [memoryJob(wanted('one'))]),
    );
    expect(ids[0]).toEqual(ids[1]);
    expect(ids[0]).not.toEqual(ids[2]);
  });

  it('takes no job the broker would refuse', () => {
    const { adapter } = create();
    expect(() => adapter.submit('main', [{ ...memoryJob(wanted('one')), owner: 'Not A Name' }])).toThrow(
      expect.objectContaining({ code: 'INVALID_REQUEST' }),
    );
  });
});
