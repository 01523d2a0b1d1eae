import { describe, expect, it } from 'vitest';
import type { JobRow } from '../../../broker/core/state.ts';
import { createMemoryLedger } from '../../../broker/ledger/memory.ts';
import { createNewsReader } from '../../../broker/service/news-reader.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { accept, hello, lease } from '../lease-machine/world.ts';

function setUp() {
  const clock = createManualClock();
  const ledger = createMemoryLedger({ clock });
  const queued: string[] = [];
  const concerned: string[] = [];
  let looks = 0;
  let failures = 0;
  const reader = createNewsReader({
    ledger,
    clock,
    log: silentLog,
    queued: (job: JobRow) => queued.push(job.id),
    concerned: async (agent) => void concerned.push(agent),
    lookAgain: () => {
      looks += 1;
      return failures-- > 0 ? Promise.reject(new Error('not now')) : Promise.resolve();
    },
  });
  return {
    clock,
    ledger,
    queued,
    concerned,
    reader,
    looks: () => looks,
    failNext: (times: number) => {
      failures = times;
    },
  };
}

describe('news of the ledger', () => {
  it('are hints: only what the ledger says is queued is offered', async () => {
    const { clock, ledger, queued, reader } = setUp();
    await ledger.apply([hello('a'), accept('j1'), accept('j2'), lease('a', 'j1', 1)]);
    reader.heard({ kind: 'queued', jobs: ['j1', 'j2', 'no such job', 'j2'] });
    await clock.run(0);
    expect(queued).toEqual(['j2']);
  });

  it('that were missed make the whole ledger be looked at, again and again until that works', async () => {
    const { clock, reader, looks, failNext } = setUp();
    failNext(2);
    reader.heard({ kind: 'missed' });
    await clock.run(0);
    expect(looks()).toBe(1);
    await clock.run(10_000);
    expect(looks()).toBe(3);
    await clock.run(60_000);
    expect(looks()).toBe(3);
  });

  it('I9 of more jobs than are kept count as missed', async () => {
    const { clock, reader, queued, looks } = setUp();
    reader.heard({ kind: 'queued', jobs: Array.from({ length: 10_001 }, (_, at) => `j${at}`) });
    await clock.run(0);
    expect([looks(), queued]).toEqual([1, []]);
  });

  it('of agents come before those of jobs, each once', async () => {
    const { clock, reader, concerned } = setUp();
    reader.heard({ kind: 'agents', agents: ['a', 'b', 'a'] });
    await clock.run(0);
    expect(concerned).toEqual(['a', 'b']);
  });

  it('I9 of more agents than are kept count as missed', async () => {
    const { clock, reader, concerned, looks } = setUp();
    reader.heard({ kind: 'agents', agents: Array.from({ length: 10_001 }, (_, at) => `a${at}`) });
    await clock.run(0);
    expect([looks(), concerned]).toEqual([1, []]);
  });

  it('are heard no more once it is stopped', async () => {
    const { clock, reader, looks, failNext } = setUp();
    failNext(1);
    reader.heard({ kind: 'missed' });
    await clock.run(0);
    reader.stop();
    await clock.run(60_000);
    reader.heard({ kind: 'missed' });
    await clock.run(0);
    expect(looks()).toBe(1);
    expect(clock.pending()).toBe(0);
  });
});
