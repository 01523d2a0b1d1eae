import { describe, expect, it } from 'vitest';
import { type Case, type Outcome, type Suite, SubjectUnavailable } from '../../../conformance/case.ts';
import { expect as expectOf, Failed, never, until } from '../../../conformance/expectation.ts';
import { chosenCases, type ProgressEvent, runSuite } from '../../../conformance/run.ts';

const NO_SIGNAL = new AbortController().signal;
const OPTIONS = { level: 'robust', atOnce: 4, patience: 1, signal: NO_SIGNAL } as const;

type Act = (signal: AbortSignal) => Promise<void>;

function testCase(id: string, run: Act, more: Partial<Case<string>> = {}): Case<string> {
  return {
    id,
    title: 'does',
    requirements: ['M-1'],
    level: 'core',
    run: (_subject, signal) => run(signal),
    ...more,
  };
}

/** A suite that notes what becomes of its subjects. */
function suiteOf(cases: readonly Case<string>[], lend?: () => never) {
  const returned: Outcome['kind'][] = [];
  const state = { closed: 0, lent: 0, most: 0 };
  const suite: Suite<string> = {
    kind: 'agent',
    cases,
    lacks: (capability) => (capability === 'wings' ? 'it has no wings' : undefined),
    async lend() {
      lend?.();
      state.lent += 1;
      state.most = Math.max(state.most, state.lent);
      return {
        subject: 'subject',
        async giveBack(outcome) {
          state.lent -= 1;
          returned.push(outcome.kind);
          return outcome.kind === 'failed' ? 'its last words' : '';
        },
      };
    },
    async close() {
      state.closed += 1;
    },
  };
  return { suite, returned, state };
}

const passes: Act = async () => undefined;
const waits: Act = (signal) => until('a thing that never comes', () => undefined, 60_000, signal);

describe('a run', () => {
  it('tells what passed, what failed and why, with what the subject said, and what does not apply', async () => {
    const { suite, returned, state } = suiteOf([
      testCase('AAA-M-001', passes),
      testCase('AAA-M-002', async () => expectOf(false, 'it did not')),
      testCase('AAA-M-003', passes, { needs: ['wings'] }),
      testCase('AAA-M-004', async () => {
        throw new TypeError('a fault of the case');
      }),
    ]);
    const report = await runSuite(suite, OPTIONS);
    expect(report).toMatchObject({ subject: 'agent', passed: 1, failed: 2, notApplicable: 1 });
    expect(report.results.map(({ id, outcome }) => [id, outcome])).toEqual([
      ['AAA-M-001', { kind: 'passed' }],
      ['AAA-M-002', { kind: 'failed', reason: 'it did not' }],
      ['AAA-M-003', { kind: 'not-applicable', reason: 'it has no wings' }],
      ['AAA-M-004', { kind: 'failed', reason: 'TypeError: a fault of the case' }],
    ]);
    expect(report.results[1]?.evidence).toBe('its last words');
    expect(returned.toSorted()).toEqual(['failed', 'failed', 'passed']);
    expect(state).toMatchObject({ closed: 1, lent: 0 });
  });

  it('ends a case at its deadline, which patience stretches', async () => {
    const { suite } = suiteOf([testCase('AAA-M-001', waits, { withinSeconds: 0.1 })]);
    const begunMs = performance.now();
    const report = await runSuite(suite, { ...OPTIONS, patience: 2 });
    expect(report.results[0]?.outcome).toEqual({ kind: 'failed', reason: 'it took longer than 0.2 s' });
    expect(performance.now() - begunMs).toBeGreaterThan(150);
  });

  it('runs as many at once as it may, those that ask to be alone after them, and the last ones last', async () => {
    const order: string[] = [];
    const noting =
      (id: string): Act =>
      async (signal) => {
        order.push(id);
        await until('a moment', () => true, 10, signal);
      };
    const { suite, state } = suiteOf([
      testCase('AAA-M-009', noting('last'), { turn: 'last' }),
      testCase('AAA-M-001', noting('alone'), { turn: 'alone' }),
      ...Array.from({ length: 6 }, (_, at) => testCase(`AAA-M-01${at}`, noting('together'))),
    ]);
    await runSuite(suite, { ...OPTIONS, atOnce: 3 });
    expect(order).toEqual([...Array.from({ length: 6 }, () => 'together'), 'alone', 'last']);
    expect(state.most).toBeLessThanOrEqual(3);
  });

  it('ends with the signal, and closes the suite', async () => {
    const { suite, state } = suiteOf([testCase('AAA-M-001', waits)]);
    const stop = new AbortController();
    const run = runSuite(suite, { ...OPTIONS, signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(run).rejects.toThrow('enough');
    expect(state.closed).toBe(1);
  });

  it('rejects where there is no subject, and closes the suite', async () => {
    const { suite, state } = suiteOf([testCase('AAA-M-001', passes)], () => {
      throw new SubjectUnavailable('there is none');
    });
    await expect(runSuite(suite, OPTIONS)).rejects.toThrow(SubjectUnavailable);
    expect(state.closed).toBe(1);
  });

  it('tells of its progress', async () => {
    const events: ProgressEvent[] = [];
    const { suite } = suiteOf([testCase('AAA-M-001', passes), testCase('AAA-M-002', passes)]);
    await runSuite(suite, { ...OPTIONS, onProgress: (event) => events.push(event) });
    expect(events.map((event) => (event.kind === 'ended' ? event.done : event.cases))).toEqual([2, 1, 2]);
  });
});

describe('the cases of a run', () => {
  const cases = (['core', 'full', 'robust'] as const).map((level) => ({ id: level, level }));

  it('are those up to its level', () => {
    expect(chosenCases(cases, { level: 'full' }).map(({ id }) => id)).toEqual(['core', 'full']);
  });

  it('are those named, whatever their level', () => {
    expect(chosenCases(cases, { level: 'core', only: ['robust'] }).map(({ id }) => id)).toEqual(['robust']);
  });
});

describe('an expectation', () => {
  it('that is waited for in vain says for what', async () => {
    await expect(until('rain', () => undefined, 20, NO_SIGNAL)).rejects.toThrow(
      'waited 0.0 s in vain for rain',
    );
  });

  it('that something never happens fails as soon as it does', async () => {
    await expect(never(() => 'it happened', 60_000, NO_SIGNAL)).rejects.toThrow(Failed);
    await expect(never(() => undefined, 20, NO_SIGNAL)).resolves.toBeUndefined();
  });
});
