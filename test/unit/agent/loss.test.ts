import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BROKER_ADDRESS } from '../../../protocol/bindings/bus.ts';
import { jobId, lease, setStage } from './stage.ts';
import type { Stage } from './stage.ts';

const LONG = { command: 'long' };
let stage: Stage;

beforeEach(async () => {
  stage = await setStage();
  stage.scripts.set('long', { afterMs: 600_000, ending: { kind: 'exited', code: 0 } });
});

afterEach(async () => {
  await stage.broker.stop();
});

/** The agent and the job it runs, as far as the second start is concerned. */
async function runAndCrash(during: 'running' | 'reporting'): Promise<void> {
  await stage.start();
  stage.gives(await stage.hears('request'), lease(0, {}, during === 'running' ? LONG : {}));
  if (during === 'running') await stage.until(() => stage.launcher.running === 1);
  else await stage.hears('report');
  stage.crash();
  stage.broker.manners.welcome = {
    slots: [{ slot: 1, counter: during === 'running' ? 1 : 2 }],
    held: [{ job: jobId(0), attempt: 1 }],
    verdicts: [],
  };
}

describe('lost and repeated messages', () => {
  it('a report without an answer is sent again with the same counter, each wait longer than the last', async () => {
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0));
    const times: number[] = [];
    for (let copy = 0; copy < 4; copy++) {
      expect(await stage.hears('report', 60_000)).toMatchObject({ slot: 1, counter: 2 });
      times.push(stage.clock.monotonicMs());
    }
    const waits = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(waits[0]).toBeGreaterThan(3_500);
    expect(waits[0]).toBeLessThan(6_500);
    expect(waits[2]).toBeGreaterThan(14_000);
  });

  it('a parked request is not sent again within a minute', async () => {
    await stage.start();
    await stage.hears('request');
    expect(await stage.next(60_000)).toBeUndefined();
    expect(await stage.hears('request', 16_000)).toMatchObject({ counter: 1 });
  });

  it('the same answer twice starts the job once', async () => {
    await stage.start();
    const request = await stage.hears('request');
    stage.gives(request, lease(0, {}, LONG));
    stage.gives(request, lease(0, {}, LONG));
    await stage.until(() => stage.launcher.running > 0);
    await stage.clock.run(2_000);
    expect(stage.launched).toHaveLength(1);
  });

  it('the same lease under a later counter does not run again over the attempt that was reported', async () => {
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0));
    stage.judges(await stage.hears('report'), { verdict: 'verifying', next: lease(0) });
    await stage.hears('request');
    expect(stage.launched).toHaveLength(1);
    expect(stage.store.saved.get(`${jobId(0)}.1`)).toContain('"ended"');
  });

  it('answers to nothing that is open, to another slot or with another counter change nothing', async () => {
    await stage.start();
    const request = await stage.hears('request');
    stage.gives({ ...request, slot: 2 }, lease(0));
    stage.gives({ ...request, counter: request.counter + 1 }, lease(0));
    await stage.clock.run(1_000);
    expect(stage.launched).toHaveLength(0);
    stage.gives(request, lease(1));
    expect(await stage.hears('report')).toMatchObject({ job: jobId(1) });
  });

  it('an answer of another kind, or for another attempt, is not taken for the answer', async () => {
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0));
    const report = await stage.hears('report');
    stage.judges({ ...report, attempt: 2 });
    stage.hasNone({ kind: 'request', slot: report.slot, counter: report.counter, ad: {}, seen: [] });
    expect(await stage.hears('report')).toMatchObject({ counter: report.counter });
  });

  it('trouble of the broker’s moment is waited out and the same asked again', async () => {
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0));
    const { slot, counter } = await stage.hears('report');
    stage.broker.say({ kind: 'error', slot, counter, code: 'LEDGER_UNAVAILABLE', message: 'busy' });
    expect(await stage.hears('report')).toMatchObject({ counter });
  });

  it('ends the campaign over a bus that drops, repeats and reorders', async () => {
    stage.network.setFaults({ delayMs: [1, 50], drop: 0.2, duplicate: 0.2, reorder: 0.3 });
    await stage.start();
    const reported = new Set<string>();
    let jobs = 0;
    let lastGiven: { counter: number; n: number } | undefined;
    for (let turn = 0; turn < 400 && reported.size < 10; turn++) {
      const message = await stage.next(120_000);
      if (message?.kind === 'request') {
        // The stored answer: the same counter gets the same lease.
        const n = lastGiven?.counter === message.counter ? lastGiven.n : jobs++;
        lastGiven = { counter: message.counter, n };
        stage.gives(message, lease(n));
      } else if (message?.kind === 'report') {
        reported.add(message.job);
        stage.judges(message, { next: { reason: 'no-work', retryAfterSeconds: 0 } });
      }
    }
    expect(reported.size).toBe(10);
    expect(stage.launched.map(({ environment }) => environment['COPILOT_JOB'])).toHaveLength(
      new Set(stage.launched.map(({ environment }) => environment['COPILOT_JOB'])).size,
    );
  });
});

describe('a new session', () => {
  it('gets everything that is open again, with its counter', async () => {
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0));
    const report = await stage.hears('report');
    stage.broker.manners.welcome = { ...stage.broker.manners.welcome, slots: [{ slot: 1, counter: 2 }] };
    stage.network.disconnect('agent-2');
    await stage.clock.run(1_000);
    stage.broker.inbox.length = 0;
    stage.network.reconnect('agent-2');
    expect(await stage.hears('report', 2_000)).toMatchObject({ counter: report.counter, job: jobId(0) });
  });

  it('follows a restart of the broker without a word from the bus, because a hint says the session is unknown', async () => {
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0, {}, LONG));
    await stage.until(() => stage.launcher.running === 1);
    stage.broker.restart();
    expect(await stage.hears('renew', 90_000)).toMatchObject({ leases: [{ job: jobId(0) }] });
    expect(stage.broker.starts).toHaveLength(2);
    expect(new Set(stage.broker.starts).size).toBe(1);
  });

  it('is made within half a minute after a restart of the broker where all the agent does is to wait for work', async () => {
    await stage.start();
    const { counter } = await stage.hears('request');
    stage.broker.restart();
    expect(await stage.hears('request', 30_000)).toMatchObject({ counter });
    expect(stage.broker.starts).toHaveLength(2);
  });

  it('renumbers a question whose counter the broker has passed', async () => {
    await stage.start();
    const request = await stage.hears('request');
    stage.broker.manners.welcome = { ...stage.broker.manners.welcome, slots: [{ slot: 1, counter: 41 }] };
    stage.broker.say({
      kind: 'error',
      slot: 1,
      counter: request.counter,
      code: 'STALE_COUNTER',
      message: '',
    });
    expect(await stage.hears('request', 30_000)).toMatchObject({ counter: 42 });
  });

  it('is made after a jump of the wall clock, as a restored snapshot makes', async () => {
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0, {}, LONG));
    await stage.until(() => stage.launcher.running === 1);
    stage.clock.jumpWall(3_600_000);
    expect(await stage.hears('renew', 90_000)).toMatchObject({ leases: [{ job: jobId(0) }] });
    expect(stage.broker.starts.length).toBeGreaterThan(1);
    expect(new Set(stage.broker.starts).size).toBe(1);
  });

  it('is tried again until the broker is there', async () => {
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0));
    await stage.hears('report');
    const heal = stage.network.partition([BROKER_ADDRESS]);
    await stage.clock.run(300_000);
    heal();
    stage.broker.inbox.length = 0;
    expect(await stage.hears('report', 120_000)).toMatchObject({ counter: 2 });
  });
});

describe('a restart of the agent', () => {
  it('runs the interrupted job again under the same attempt while its lease lives', async () => {
    await runAndCrash('running');
    await stage.start();
    expect(await stage.hears('renew')).toMatchObject({ leases: [{ job: jobId(0), attempt: 1 }] });
    await stage.until(() => stage.launched.length === 2);
    expect(stage.launched.map(({ environment }) => environment['COPILOT_ATTEMPT'])).toEqual(['1', '1']);
    const starts = new Set(stage.broker.starts);
    expect(starts.size).toBe(2);
  });

  it('uploads and reports what had ended, without running it again', async () => {
    await runAndCrash('reporting');
    await stage.start();
    const outputs = await stage.hears('outputs');
    expect(outputs).toMatchObject({ counter: 3, verb: 'put' });
  });

  it('repeats the report of an attempt that is no longer live, and believes the answer', async () => {
    await runAndCrash('reporting');
    stage.broker.manners.welcome = { ...stage.broker.manners.welcome, held: [] };
    await stage.start();
    const report = await stage.hears('report');
    expect(report).toMatchObject({ job: jobId(0), attempt: 1, counter: 3 });
    expect(stage.launched).toHaveLength(1);
    stage.judges(report, { verdict: 'committed' });
    await stage.hears('request');
    expect(stage.store.places.size).toBe(0);
  });

  it('removes what was decided while it was away, and names it as seen', async () => {
    await runAndCrash('reporting');
    const verdict = { job: jobId(0), attempt: 1, verdict: 'committed', reason: '' } as const;
    stage.broker.manners.welcome = { slots: [{ slot: 1, counter: 2 }], held: [], verdicts: [verdict] };
    await stage.start();
    expect(await stage.hears('request')).toMatchObject({ counter: 3, seen: [{ job: jobId(0), attempt: 1 }] });
    expect(stage.store.places.size).toBe(0);
  });

  it('removes what it does not hold any more and asks for work', async () => {
    await runAndCrash('running');
    stage.broker.manners.welcome = { ...stage.broker.manners.welcome, held: [] };
    await stage.start();
    expect(await stage.hears('request')).toMatchObject({ counter: 2 });
    expect(stage.store.places.size).toBe(0);
    expect(stage.launched).toHaveLength(1);
  });

  it('gives back what it holds and knows nothing of', async () => {
    stage.broker.manners.welcome = {
      slots: [{ slot: 1, counter: 7 }],
      held: [{ job: jobId(5), attempt: 4 }],
      verdicts: [],
    };
    await stage.start();
    const release = await stage.hears('release');
    expect(release).toMatchObject({ counter: 8, job: jobId(5), attempt: 4, reason: 'lost' });
    const { slot, counter, job, attempt } = release;
    stage.broker.say({ kind: 'released', slot, counter, job, attempt, verdicts: [] });
    expect(await stage.hears('request')).toMatchObject({ counter: 9 });
  });

  it('gives back an attempt whose journal entry is corrupt, and does not crash', async () => {
    await runAndCrash('running');
    stage.store.corrupt({ job: jobId(0), attempt: 1 });
    await stage.start();
    expect(await stage.hears('release')).toMatchObject({ job: jobId(0), attempt: 1, reason: 'lost' });
    await stage.until(() => stage.store.places.size === 0);
    expect(stage.store.places.size).toBe(0);
    expect(stage.launched).toHaveLength(1);
  });

  it('does not begin a job that cannot be journalled', async () => {
    await stage.start();
    stage.store.failNextSave();
    stage.gives(await stage.hears('request'), lease(0));
    expect(await stage.hears('release')).toMatchObject({ reason: 'unable' });
    expect(stage.launched).toHaveLength(0);
  });
});
