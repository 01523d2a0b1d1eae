import { beforeEach, describe, expect, it } from 'vitest';
import { createMemoryLedger, type MemoryLedger } from '../../../broker/ledger/memory.ts';
import { createHostClasses } from '../../../broker/matching/host-class.ts';
import { type AvailableJobs, createAvailableJobs } from '../../../broker/service/available-jobs.ts';
import { MAX_AHEAD, type QueueConfiguration } from '../../../broker/service/configuration.ts';
import { createFetching, type Fetching } from '../../../broker/service/fetching.ts';
import type { NewJob } from '../../../protocol/generated/types.ts';
import type { AnswerBody, AskBody } from '../../../protocol/session/trusted-link.ts';
import {
  CONFIGURATION,
  createRuntime,
  describe as description,
  OK,
  playAdapters,
  QUEUE,
  unreachable,
} from './service-parts.ts';

const ANY_HOST = createHostClasses()({});
const EMPTY: AnswerBody = { result: 'jobs', jobs: [], more: false };

let runtime: ReturnType<typeof createRuntime>;
let adapters: ReturnType<typeof playAdapters>;
let ledger: MemoryLedger;
let jobs: AvailableJobs;
let fetching: Fetching;
let made: number;

beforeEach(() => {
  made = 0;
  start();
});

function start(queues: readonly QueueConfiguration[] = [QUEUE]): void {
  runtime = createRuntime();
  adapters = playAdapters(() => EMPTY);
  ledger = createMemoryLedger({ clock: runtime.clock });
  jobs = createAvailableJobs(runtime, 10);
  fetching = createFetching({
    runtime,
    configuration: { ...CONFIGURATION, queues },
    ledger,
    jobs,
    ask: adapters.ask,
    follow(outcome) {
      if (outcome.kind === 'accepted') void jobs.offer(outcome.job, async () => undefined);
    },
  });
}

function newJob(change: Partial<NewJob> = {}, ofDescription: Parameters<typeof description>[0] = {}): NewJob {
  return {
    job: `j${++made}`,
    ref: `ref-${made}`,
    owner: 'physicist',
    site: 'here',
    campaign: 'z-boson',
    priority: 0,
    retries: 2,
    description: description(ofDescription),
    ...change,
  };
}

/** As many new jobs as are asked for, without end. */
const plenty = (body: AskBody): AnswerBody =>
  body.op === 'fetch'
    ? { result: 'jobs', jobs: Array.from({ length: body.max }, () => newJob()), more: true }
    : OK;

const fetches = () => adapters.asked.flatMap(({ body }) => (body.op === 'fetch' ? [body] : []));
const failures = () => adapters.asked.flatMap(({ body }) => (body.op === 'failed' ? [body] : []));

async function open(ms = 0): Promise<void> {
  fetching.opened('jobs');
  await runtime.clock.run(ms);
}

/** One fetch is answered with these; every later one with nothing. */
function give(...given: readonly NewJob[]): void {
  let isGiven = false;
  adapters.play((body) => {
    if (body.op !== 'fetch') return OK;
    const answer: AnswerBody = isGiven ? EMPTY : { result: 'jobs', jobs: [...given], more: false };
    isGiven = true;
    return answer;
  });
}

describe('fetching', () => {
  it('brings jobs into the ledger and the pool, and names them as accepted in the next fetch', async () => {
    give(newJob(), newJob());
    await open();
    expect(fetches()).toMatchObject([{ queue: 'local', max: 8, accepted: [] }, { accepted: ['j1', 'j2'] }]);
    expect((await ledger.job('j1'))?.job).toMatchObject({ queue: 'local', ref: 'ref-1', maxLost: 3 });
    expect([jobs.take(ANY_HOST)?.job, jobs.take(ANY_HOST)?.job]).toEqual(['j1', 'j2']);
  });

  it('stops at the prefetch, and goes on when half of it is gone', async () => {
    adapters.play(plenty);
    await open();
    expect(jobs.waitingIn('local')).toBe(QUEUE.prefetch);
    const before = fetches().length;
    for (let taken = 0; taken < 4; taken++) jobs.take(ANY_HOST);
    fetching.look();
    await runtime.clock.run(0);
    expect(fetches()).toHaveLength(before);
    jobs.take(ANY_HOST);
    fetching.look();
    await runtime.clock.run(0);
    expect(fetches()[before]).toMatchObject({ max: 5 });
    expect(jobs.waitingIn('local')).toBe(QUEUE.prefetch);
  });

  it('I9 looks further for agents that wait unmatched, a little at a time and not without end', async () => {
    const nobody = createHostClasses()({ Cpus: 0 });
    jobs.park({
      key: 'a',
      counter: 1,
      holder: {},
      host: nobody,
      expiresMs: 1e9,
      wake: () => undefined,
      expire: () => undefined,
    });
    adapters.play((body) => {
      if (body.op !== 'fetch') return OK;
      const foreign = Array.from({ length: body.max }, () => newJob({}, { requirements: 'other.Cpus > 0' }));
      return { result: 'jobs', jobs: foreign, more: true };
    });
    await open(10);
    expect(Math.max(...fetches().map(({ max }) => max))).toBeLessThanOrEqual(64);
    expect(jobs.waitingIn('local')).toBe(MAX_AHEAD);
    const before = fetches().length;
    fetching.available('local');
    await runtime.clock.run(10);
    expect(fetches()).toHaveLength(before);
  });

  it('asks one thing at a time of a queue, and of each queue its own', async () => {
    start([QUEUE, { ...QUEUE, name: 'second', jobAdapter: 'other jobs' }]);
    adapters.play(() => new Promise(() => undefined));
    await open();
    for (let times = 0; times < 5; times++) fetching.available('local');
    await runtime.clock.run(100);
    expect(adapters.asked.map(({ service, body }) => [service, 'queue' in body && body.queue])).toEqual([
      ['jobs', 'local'],
      ['other jobs', 'second'],
    ]);
  });

  it('asks again where the adapter said during a fetch that there is more', async () => {
    adapters.play((body) => {
      if (body.op === 'fetch' && fetches().length === 1) fetching.available(QUEUE.name);
      return body.op === 'fetch' ? EMPTY : OK;
    });
    await open();
    expect(fetches()).toHaveLength(2);
  });

  it('names a job that is handed over again as accepted again', async () => {
    const same = newJob();
    give(same);
    await open();
    give(same);
    fetching.available('local');
    await runtime.clock.run(0);
    expect(fetches().at(-1)?.accepted).toEqual([same.job]);
    expect((await ledger.count()).queued).toBe(1);
    expect(jobs.waitingIn('local')).toBe(1);
  });

  it('does not ask in a loop whoever says there is more and gives nothing', async () => {
    adapters.play(() => ({ result: 'jobs', jobs: [], more: true }));
    await open(600_000);
    expect(fetches()).toHaveLength(1);
    fetching.available('local');
    await runtime.clock.run(0);
    expect(fetches()).toHaveLength(2);
  });

  it('takes no notice of queues and adapters that are not configured', async () => {
    adapters.play(plenty);
    fetching.available('no such queue');
    await runtime.clock.run(0);
    expect(fetches()).toEqual([]);
  });
});

describe('a job that no agent could ever be given', () => {
  it.each<[string, Parameters<typeof description>[0], RegExp]>([
    ['requirements that are no expression', { requirements: 'other.Cpus >' }, /expected/],
    [
      'a description over its bound',
      { arguments: Array.from({ length: 9 }, () => 'x'.repeat(2_000)) },
      /over 12288 bytes/,
    ],
  ])('with %s is told failed with the reason; the others are taken', async (_what, wrong, reason) => {
    give(newJob(), newJob({}, wrong), newJob());
    await open();
    expect(failures()).toMatchObject([{ job: 'j2', outcome: 'failed', attempts: [] }]);
    expect(failures()[0]?.reason).toMatch(reason);
    expect(await ledger.job('j2')).toBeUndefined();
    expect(fetches().at(-1)?.accepted).toEqual(['j1', 'j3']);
  });
});

describe('a fetch that fails', () => {
  it.each<[string, (body: AskBody) => AnswerBody | Promise<AnswerBody>]>([
    ['an adapter that is not there', unreachable],
    ['a refusal', () => ({ result: 'refused', code: 'INTERNAL', message: 'the adapter failed' })],
    ['another kind of answer', () => OK],
  ])(
    'by %s is tried again some seconds later, and sooner where the adapter has word',
    async (_what, answer) => {
      adapters.play(answer);
      await open(1_999);
      expect(fetches()).toHaveLength(1);
      await runtime.clock.run(1);
      expect(fetches()).toHaveLength(2);
      give(newJob());
      fetching.available('local');
      await runtime.clock.run(0);
      expect((await ledger.count()).queued).toBe(1);
    },
  );

  it('by a ledger that is full loses no job and accepts none', async () => {
    const same = newJob();
    adapters.play((body) =>
      body.op === 'fetch' && body.accepted.length === 0
        ? { result: 'jobs', jobs: [same], more: false }
        : EMPTY,
    );
    ledger.failNext('LEDGER_FULL');
    await open();
    expect(fetches()).toHaveLength(1);
    expect((await ledger.count()).queued).toBeUndefined();
    await runtime.clock.run(2_000);
    expect((await ledger.count()).queued).toBe(1);
    expect(fetches().map(({ accepted }) => accepted)).toEqual([[], [], [same.job]]);
  });

  it('keeps what was to be named as accepted until an answer has come', async () => {
    let times = 0;
    const same = newJob();
    adapters.play((body) => {
      times += 1;
      if (times === 2) return unreachable();
      return times === 1 && body.op === 'fetch' ? { result: 'jobs', jobs: [same], more: false } : EMPTY;
    });
    await open(5_000);
    expect(fetches().map(({ accepted }) => accepted)).toEqual([[], [same.job], [same.job]]);
  });

  it('is tried no more once it is stopped, and no timer is left', async () => {
    adapters.play(unreachable);
    await open(10_000);
    const before = fetches().length;
    fetching.stop();
    fetching.available('local');
    await runtime.clock.run(60_000);
    expect([fetches().length, runtime.clock.pending()]).toEqual([before, 0]);
  });
});
