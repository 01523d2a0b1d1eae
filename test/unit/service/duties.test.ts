import { beforeEach, describe, expect, it } from 'vitest';
import type { Command } from '../../../broker/core/command.ts';
import type { JobRow } from '../../../broker/core/state.ts';
import { createMemoryLedger, createMemoryStore, type MemoryLedger } from '../../../broker/ledger/memory.ts';
import { createDuties, type Duties } from '../../../broker/service/duties.ts';
import { createAttemptsUnderWay } from '../../../broker/service/attempts-under-way.ts';
import { createVerifier } from '../../../broker/service/verification.ts';
import type { AnswerBody, AskBody } from '../../../protocol/session/trusted-link.ts';
import {
  abort,
  accept,
  cancel,
  FILE,
  finalised,
  hello,
  lease,
  renew,
  report,
  told,
  verified,
} from '../lease-machine/world.ts';
import {
  CONFIGURATION,
  createRuntime,
  describe as description,
  OK,
  playAdapters,
  QUEUE,
  unreachable,
} from './service-parts.ts';

const VERIFIED: AnswerBody = { result: 'verified', files: [FILE] };
/** Nobody waits for the last record of a job: it is made with others, a little later. */
const LONG_ENOUGH_MS = 100;
const NOT_LIVE: AnswerBody = { result: 'refused', code: 'ATTEMPT_NOT_LIVE', message: 'discarded' };

/** Adapters that do whatever they are asked. */
const willing = (body: AskBody): AnswerBody => (body.op === 'verify' ? VERIFIED : OK);

let runtime: ReturnType<typeof createRuntime>;
let adapters: ReturnType<typeof playAdapters>;
let store: ReturnType<typeof createMemoryStore>;
let ledger: MemoryLedger;
let duties: Duties;
/** What storage was said to have registered, and what the row said by then. */
let registered: string[];

beforeEach(() => {
  runtime = createRuntime();
  adapters = playAdapters(willing);
  store = createMemoryStore();
  registered = [];
  start();
});

/** The broker's part that carries out duties, over what the store holds. */
function start(configuration = CONFIGURATION): void {
  ledger = createMemoryLedger({ clock: runtime.clock, store });
  const verifier = createVerifier({
    clock: runtime.clock,
    queues: configuration.queues,
    underWay: createAttemptsUnderWay(ledger),
    ask: adapters.ask,
    isOpen: () => true,
  });
  const begun = createDuties({
    runtime,
    configuration,
    ledger,
    ask: adapters.ask,
    verifier,
    follow,
    registered: (job, attempt) => registered.push(`${job}/${attempt} ${row(job).state}`),
  });
  function follow(outcome: object): void {
    if ('job' in outcome) begun.take(rowOf(outcome.job));
  }
  duties = begun;
}

function rowOf(value: unknown): JobRow {
  const job = [...store.jobs.values()].find((row) => row === value);
  if (job === undefined) throw new Error('no row of the store');
  return job;
}

/** A new life of the broker over the same store. */
async function restart(configuration = CONFIGURATION): Promise<void> {
  ledger.crash();
  duties.stop();
  start(configuration);
  await duties.resume();
}

const text = JSON.stringify(description({ outputs: [{ name: FILE.name }] }));
const row = (id = 'j1'): JobRow => store.jobs.get(id)!;
const attemptState = (number = 1) => row().attempts.find((attempt) => attempt.number === number)?.state;

async function apply(...commands: readonly Command[]): Promise<void> {
  await ledger.apply(commands);
}

/** Job j1, reported by agent a. */
async function reported(change: Parameters<typeof report>[4] = {}): Promise<void> {
  await apply(hello('a'), accept('j1', { description: text }), lease('a', 'j1', 1));
  await apply(report('a', 'j1', 1, 2, change));
}

/** Takes up what there is to do and lets it go its way. */
async function work(ms = LONG_ENOUGH_MS): Promise<void> {
  duties.take(row());
  await runtime.clock.run(ms);
}

describe('the commit', () => {
  it('goes through its steps in order, each at its adapter, to the framework’s own answer', async () => {
    await reported();
    await work();
    expect(adapters.asked.map(({ service, body }) => `${service} ${body.op}`)).toEqual([
      'storage verify',
      'storage finalise',
      'jobs finished',
    ]);
    expect(adapters.asked[1]?.body).toMatchObject({ job: 'j1', attempt: 1, manifest: [FILE] });
    expect(adapters.asked[2]?.body).toMatchObject({ job: 'j1', attempt: 1, manifest: [FILE] });
    expect(row()).toMatchObject({ state: 'told', told: true });
    expect([duties.open, runtime.clock.pending()]).toEqual([0, 0]);
  });

  it('T-25 counts the events that the framework names, once, however often it was asked and by how many lives', async () => {
    await reported();
    let asked = 0;
    adapters.play((body) => {
      if (body.op !== 'finished') return willing(body);
      asked += 1;
      // The record of this answer is lost with the broker.
      if (asked === 2) ledger.crash();
      return asked === 1 ? unreachable() : { result: 'ok', events: 1_000 };
    });
    await work(5_000);
    expect(row()).toMatchObject({ state: 'committed', events: 0 });
    await restart();
    await runtime.clock.run(LONG_ENOUGH_MS);
    expect([asked, row().events]).toEqual([3, 1_000]);
    await apply(told('j1', 'ok', '', 7));
    await restart();
    await runtime.clock.run(LONG_ENOUGH_MS);
    expect([asked, row().events]).toEqual([3, 1_000]);
  });

  it('is certain once storage has registered the result, whatever becomes of its record', async () => {
    await reported();
    adapters.play((body) => {
      if (body.op !== 'finalise') return willing(body);
      expect(registered).toEqual([]);
      // Neither the record nor what the broker knew comes out of this.
      ledger.crash();
      return OK;
    });
    await work();
    expect(registered).toEqual(['j1/1 committing']);
    expect(row().state).toBe('committing');
    adapters.play((body) => (body.op === 'discard' ? NOT_LIVE : willing(body)));
    await restart();
    await apply(cancel('j1'), abort('j1', 1, 'an operator'));
    await runtime.clock.run(LONG_ENOUGH_MS);
    expect(row()).toMatchObject({ state: 'told', attempts: [{ state: 'committed' }] });
  });

  it('of what is not in storage as reported ends the attempt, and its files', async () => {
    await reported();
    adapters.play((body) =>
      body.op === 'verify' ? { result: 'mismatch', reason: 'events.csv has other bytes' } : OK,
    );
    await work();
    expect(adapters.ops()).toEqual(['verify', 'discard']);
    expect(registered).toEqual([]);
    expect(row()).toMatchObject({
      state: 'queued',
      losses: 1,
      attempts: [{ state: 'void', discard: false }],
    });
    expect(store.agents.get('a')?.verdicts).toMatchObject([
      { verdict: 'refused', reason: 'events.csv has other bytes' },
    ]);
  });

  it('of a manifest without a declared output never reaches storage', async () => {
    await reported({ manifest: [] });
    await work();
    expect(adapters.ops()).toEqual(['discard']);
    expect(store.agents.get('a')?.verdicts[0]?.reason).toContain(FILE.name);
  });

  it('that storage gave up is the next attempt’s to make', async () => {
    await reported();
    adapters.play((body) => (body.op === 'finalise' ? NOT_LIVE : willing(body)));
    await work();
    expect(adapters.ops()).toEqual(['verify', 'finalise']);
    expect(registered).toEqual([]);
    expect(row()).toMatchObject({ state: 'queued', attempts: [{ state: 'void', discard: false }] });
    expect(store.agents.get('a')?.verdicts).toMatchObject([{ verdict: 'refused' }]);
  });

  it('that is aborted after storage finalised it stands', async () => {
    await reported();
    await apply(verified('j1', 1), abort('j1', 1));
    adapters.play((body) => (body.op === 'discard' ? NOT_LIVE : willing(body)));
    await work();
    expect(adapters.ops()).toEqual(['discard', 'finished']);
    expect(row().state).toBe('told');
  });

  it('that is aborted before is discarded, and the job available again', async () => {
    await reported();
    await apply(verified('j1', 1), abort('j1', 1, 'no room'));
    await work();
    expect(adapters.ops()).toEqual(['discard']);
    expect(row()).toMatchObject({ state: 'queued', attempts: [{ state: 'void', reason: 'no room' }] });
  });
});

describe('what the framework is told', () => {
  it('a result it will not have is not said again', async () => {
    await reported();
    adapters.play((body) =>
      body.op === 'finished'
        ? { result: 'refused', code: 'RESULT_REFUSED', message: 'the task is closed' }
        : willing(body),
    );
    await work(60_000);
    expect(adapters.ops()).toEqual(['verify', 'finalise', 'finished']);
    expect(row()).toMatchObject({ state: 'refused-by-framework', reason: 'the task is closed', told: true });
  });

  it('a failure is said with the last eight attempts, their reasons and the ends of their logs', async () => {
    await apply(hello('a'), accept('j1', { description: text, retries: 9 }));
    for (let attempt = 1; attempt <= 10; attempt++) {
      runtime.clock.advance(3_600_000);
      await apply(lease('a', 'j1', 2 * attempt));
      await apply(renew('a', 'j1', attempt));
      await apply(
        report('a', 'j1', attempt, 2 * attempt + 1, {
          exit: { kind: 'exited', code: attempt },
          logTail: `${'x'.repeat(4_000)}end of ${attempt}`,
          seen: attempt === 1 ? [] : [{ job: 'j1', attempt: attempt - 1 }],
        }),
      );
    }
    await work();
    const word = adapters.asked.map(({ body }) => body).find((body) => body.op === 'failed');
    expect(word).toMatchObject({ job: 'j1', outcome: 'failed', reason: 'payload exited with code 10' });
    const attempts = word?.op === 'failed' ? word.attempts : [];
    expect(attempts.map(({ attempt }) => attempt)).toEqual([3, 4, 5, 6, 7, 8, 9, 10]);
    expect(attempts.at(-1)?.logTail).toMatch(/^x{2039}end of 10$/);
    expect(row()).toMatchObject({ state: 'failed', told: true });
  });

  it('a cancellation is said as one', async () => {
    await apply(accept('j1', { description: text }), cancel('j1', 'not wanted'));
    await work();
    expect(adapters.asked).toMatchObject([
      { service: 'jobs', body: { op: 'failed', outcome: 'cancelled', reason: 'not wanted' } },
    ]);
    expect(row().told).toBe(true);
  });
});

describe('a step whose other side fails', () => {
  it.each(['verify', 'finalise', 'finished'] as const)(
    '%s: is asked again, ever more slowly, until it is answered',
    async (op) => {
      await reported();
      const askedMs: number[] = [];
      adapters.play((body) => {
        if (body.op !== op) return willing(body);
        askedMs.push(runtime.clock.monotonicMs());
        return askedMs.length < 12 ? unreachable() : willing(body);
      });
      await work(1_000);
      expect(askedMs.length).toBeLessThan(6);
      await runtime.clock.run(600_000);
      expect(askedMs).toHaveLength(12);
      const waits = askedMs.slice(1).map((ms, at) => ms - askedMs[at]!);
      expect(Math.min(...waits)).toBeGreaterThan(100);
      expect(Math.max(...waits)).toBeLessThanOrEqual(45_000);
      expect(row().state).toBe('told');
      expect([duties.open, runtime.clock.pending()]).toEqual([0, 0]);
    },
  );

  it('a discard too, while the job is another’s already', async () => {
    await reported({ exit: { kind: 'exited', code: 1 } });
    adapters.play(unreachable);
    await work(1_000);
    await apply(hello('b'), lease('b', 'j1', 1));
    adapters.play(willing);
    await runtime.clock.run(60_000);
    expect(row()).toMatchObject({
      state: 'leased',
      attempts: [{ state: 'void', discard: false }, { state: 'live' }],
    });
  });

  it.each<[string, AnswerBody]>([
    ['another kind of answer', { result: 'jobs', jobs: [], more: false }],
    ['a refusal that says nothing of the attempt', { result: 'refused', code: 'INTERNAL', message: 'oops' }],
  ])('%s decides nothing', async (_what, answer) => {
    await reported();
    adapters.play(() => answer);
    await work(1_000);
    expect(attemptState()).toBe('reported');
    adapters.play((body) => (body.op === 'verify' ? VERIFIED : answer));
    await runtime.clock.run(60_000);
    expect(attemptState()).toBe('committing');
    adapters.play((body) => (body.op === 'finished' ? answer : willing(body)));
    await runtime.clock.run(60_000);
    expect(row()).toMatchObject({ state: 'committed', told: false });
    adapters.play(willing);
    await runtime.clock.run(60_000);
    expect(row().state).toBe('told');
  });

  it('looks at the row afresh: what is no longer due is not asked again', async () => {
    await reported();
    adapters.play((body) => (body.op === 'verify' ? unreachable() : OK));
    await work(200);
    const verifies = adapters.ops().length;
    await apply(cancel('j1'));
    await work(120_000);
    expect(adapters.ops().slice(verifies).sort()).toEqual(['discard', 'failed']);
    expect([row().state, duties.open]).toEqual(['cancelled', 0]);
  });

  it.each(['LEDGER_FULL', 'LEDGER_UNAVAILABLE'] as const)(
    'an answer that the ledger does not take (%s) is asked for again, and recorded once',
    async (code) => {
      await reported();
      const refused = new Set<string>();
      adapters.play((body) => {
        if (!refused.has(body.op)) ledger.failNext(code);
        refused.add(body.op);
        return willing(body);
      });
      await work(60_000);
      expect(adapters.ops()).toEqual(['verify', 'verify', 'finalise', 'finalise', 'finished', 'finished']);
      expect(row().state).toBe('told');
      expect(store.audit.filter((line) => line.includes('"commit"'))).toHaveLength(1);
    },
  );

  it('waits with a job whose queue is not configured until it is', async () => {
    await reported();
    await restart({ ...CONFIGURATION, queues: [{ ...QUEUE, name: 'another' }] });
    await runtime.clock.run(120_000);
    expect([adapters.ops(), row().state]).toEqual([[], 'reported']);
    await restart();
    await runtime.clock.run(LONG_ENOUGH_MS);
    expect(row().state).toBe('told');
  });

  it('asks nothing and leaves no timer once it is stopped, though the ledger is gone', async () => {
    await reported();
    adapters.play(unreachable);
    await work(1_000);
    ledger.crash();
    await runtime.clock.run(60_000);
    const before = adapters.ops().length;
    duties.stop();
    duties.take(row());
    await runtime.clock.run(120_000);
    expect([adapters.ops().length, runtime.clock.pending()]).toEqual([before, 0]);
  });
});

describe('a broker that dies', () => {
  const steps = ['verify', 'finalise', 'finished'] as const;
  const moments = ['before', 'after'] as const;

  it.each(steps.flatMap((op) => moments.map((when) => [when, op] as const)))(
    '%s the effect of %s goes on from there: committed once, told, nothing lost',
    async (when, op) => {
      await reported();
      let effects = 0;
      adapters.play((body) => {
        if (body.op !== op || effects > 0) return willing(body);
        effects += 1;
        ledger.crash();
        return when === 'after' ? willing(body) : unreachable();
      });
      await work(10_000);
      expect(row().told).toBe(false);
      await restart();
      await runtime.clock.run(LONG_ENOUGH_MS);
      expect(row()).toMatchObject({ state: 'told', attempts: [{ number: 1, state: 'committed' }] });
      expect(store.audit.filter((line) => line.includes('"commit"'))).toHaveLength(1);
      expect(adapters.ops().filter((asked) => asked === op)).toHaveLength(2);
      const others = adapters.ops().filter((asked) => asked !== op);
      expect(others).toHaveLength(2);
    },
  );

  it.each(moments)('%s a discard discards again, and is done', async (when) => {
    await reported({ exit: { kind: 'exited', code: 1 } });
    let crashes = 0;
    adapters.play(() => {
      if (crashes++ > 0) return OK;
      ledger.crash();
      return when === 'after' ? OK : unreachable();
    });
    await work(10_000);
    await restart();
    await runtime.clock.run(LONG_ENOUGH_MS);
    expect(adapters.ops()).toEqual(['discard', 'discard']);
    expect(row().attempts).toMatchObject([{ state: 'void', discard: false }]);
  });

  it('has nothing to do once all was told', async () => {
    await reported();
    await apply(verified('j1', 1), finalised('j1', 1), told('j1'));
    await restart();
    await runtime.clock.run(60_000);
    expect(adapters.ops()).toEqual([]);
  });
});

describe('many at once', () => {
  const MANY = 5_000;
  const BOUND = 4_096;
  const names = Array.from({ length: MANY }, (_, at) => `j${at}`);

  beforeEach(async () => {
    await apply(...names.map((name) => accept(name, { description: text })));
    await apply(...names.map((name) => cancel(name)));
  });

  it('a duty under way is not begun twice', async () => {
    adapters.play(() => new Promise(() => undefined));
    for (let times = 0; times < 3; times++) duties.take(row('j0'));
    await runtime.clock.run(LONG_ENOUGH_MS);
    expect(adapters.ops()).toEqual(['failed']);
  });

  it('I9 so many are under way and no more; the others come when there is room', async () => {
    const waiting: (() => void)[] = [];
    adapters.play(() => new Promise((resolve) => waiting.push(() => resolve(OK))));
    await duties.resume();
    await runtime.clock.run(LONG_ENOUGH_MS);
    expect([duties.open, waiting.length]).toEqual([BOUND, BOUND]);
    adapters.play(() => OK);
    for (const answer of waiting) answer();
    await runtime.clock.run(LONG_ENOUGH_MS);
    expect(names.filter((name) => row(name).told)).toHaveLength(MANY);
    expect(duties.open).toBe(0);
  });

  it('a ledger that cannot be read just then puts that off, no more', async () => {
    const waiting: (() => void)[] = [];
    adapters.play(() => new Promise((resolve) => waiting.push(() => resolve(OK))));
    await duties.resume();
    await runtime.clock.run(LONG_ENOUGH_MS);
    const list = ledger.list.bind(ledger);
    ledger.list = () => Promise.reject(new Error('the disk is away'));
    adapters.play(() => OK);
    for (const answer of waiting) answer();
    await runtime.clock.run(1_000);
    ledger.list = list;
    await runtime.clock.run(60_000);
    expect(names.filter((name) => row(name).told)).toHaveLength(MANY);
  });
});
