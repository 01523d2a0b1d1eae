import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { base64url, fromBase64url } from '../../../protocol/encoding.ts';
import { reportEvidence } from '../../../protocol/report-evidence.ts';
import { INSTALLATION } from '../../doubles/scripted-broker.ts';
import { AD, capability, DIGEST, jobId, lease, setStage } from './stage.ts';
import type { Stage } from './stage.ts';

let stage: Stage;

beforeEach(async () => {
  stage = await setStage();
});

afterEach(async () => {
  await stage.broker.stop();
});

describe('a job from request to verdict', () => {
  it('asks, runs, uploads, reports and asks for the next in the same message', async () => {
    await stage.start();
    const request = await stage.hears('request');
    expect(request).toEqual({ kind: 'request', slot: 1, counter: 1, ad: AD, seen: [] });
    stage.gives(request, lease(0));

    const report = await stage.hears('report');
    expect(report).toMatchObject({
      slot: 1,
      counter: 2,
      job: jobId(0),
      attempt: 1,
      exit: { kind: 'exited', code: 0 },
      manifest: [{ name: 'out', size: 100, sha256: DIGEST }],
      next: AD,
    });
    expect(stage.moved.map(({ verb, capability: { name } }) => `${verb} ${name}`)).toEqual(['put out']);
    const evidence = reportEvidence(INSTALLATION, stage.cast.agentId, report);
    const signature = fromBase64url(report.signature) ?? new Uint8Array();
    expect(stage.runtime.crypto.verify(stage.cast.agentSigning.publicKey, evidence, signature)).toBe(true);

    stage.judges(report, { next: lease(1) });
    const second = await stage.hears('report');
    expect(second).toMatchObject({ counter: 3, job: jobId(1), seen: [{ job: jobId(0), attempt: 1 }] });
    expect([...stage.store.places]).toEqual([`${jobId(1)}.1`]);
    expect([...new Set(stage.phases())]).toEqual(['asking', 'fetching', 'running', 'uploading', 'reporting']);
    expect(stage.events).toContainEqual(expect.objectContaining({ phase: 'running', progress: 0.5 }));
  });

  it('costs two messages for a short job in the steady state', async () => {
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0));
    let report = await stage.hears('report');
    stage.broker.heardSince();
    for (let n = 1; n <= 10; n++) {
      stage.judges(report, { next: lease(n) });
      report = await stage.hears('report');
      expect(report.job).toBe(jobId(n));
    }
    expect(stage.broker.heardSince()).toBe(10);
  });

  it('tells the job who it is and gives it the description’s environment, arguments and limits', async () => {
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0, { attempt: 3 }));
    await stage.hears('report');
    expect(stage.launched).toMatchObject([
      {
        command: 'work',
        arguments: ['--fast'],
        environment: {
          SEED: '7',
          PATH: '/opt/node/bin:/usr/bin:/bin',
          COPILOT_JOB: jobId(0),
          COPILOT_ATTEMPT: '3',
          COPILOT_SLOT: '1',
          COPILOT_PROGRESS: `/memory/${jobId(0)}.3/work/.co-pilot-progress`,
        },
        readOnly: ['/opt/node/bin'],
        limits: { wallSeconds: 3600, memoryMiB: 64, diskMiB: 64 },
      },
    ]);
  });

  it('fetches inputs before the job starts, and can run one of them', async () => {
    const input = { name: 'bin/tool', size: 10, sha256: DIGEST };
    await stage.start();
    stage.gives(
      await stage.hears('request'),
      lease(
        0,
        { capabilities: [capability('get', 'bin/tool'), capability('put', 'out')] },
        { inputs: [input], command: './bin/tool' },
      ),
    );
    await stage.hears('report');
    expect(stage.moved.map(({ verb, path }) => [verb, path])).toEqual([
      ['get', `/memory/${jobId(0)}.1/work/bin/tool`],
      ['put', `/memory/${jobId(0)}.1/work/out`],
    ]);
    expect(stage.launched[0]?.command).toBe('./bin/tool');
  });

  it('reports a failure without files, and a missing output as a failure with its name', async () => {
    stage.scripts.set('bad', { afterMs: 10, ending: { kind: 'exited', code: 3 } });
    stage.missing.add('out');
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0, {}, { command: 'bad' }));
    const failed = await stage.hears('report');
    expect(failed).toMatchObject({ exit: { kind: 'exited', code: 3 }, manifest: [] });
    stage.judges(failed, { verdict: 'refused', reason: 'exit 3', next: lease(1) });
    expect(await stage.hears('report')).toMatchObject({
      job: jobId(1),
      exit: { kind: 'failed', reason: 'the declared output out is missing' },
      manifest: [],
    });
    expect(stage.moved).toEqual([]);
  });

  it('waits as told when there is no work', async () => {
    await stage.start();
    for (let counter = 1; counter <= 12; counter++) {
      const request = await stage.hears('request', 60_000);
      expect(request).toMatchObject({ counter });
      stage.hasNone(request, 40);
      expect(await stage.next(39_500)).toBeUndefined();
    }
  });

  it('works in every slot at once, each with counters of its own', async () => {
    await stage.start({ slots: 3 });
    const requests = [
      await stage.hears('request'),
      await stage.hears('request'),
      await stage.hears('request'),
    ];
    expect(requests.map(({ slot, counter }) => [slot, counter])).toEqual([
      [1, 1],
      [2, 1],
      [3, 1],
    ]);
    for (const [n, request] of requests.entries()) stage.gives(request, lease(n));
    const reports = [await stage.hears('report'), await stage.hears('report'), await stage.hears('report')];
    expect(reports.map(({ slot, job }) => [slot, job]).sort()).toEqual([
      [1, jobId(0)],
      [2, jobId(1)],
      [3, jobId(2)],
    ]);
  });

  it('has no more slots than the broker serves', async () => {
    stage.broker.manners.maxSlots = 1;
    await stage.start({ slots: 3 });
    await stage.hears('request');
    expect(await stage.next(5_000)).toBeUndefined();
  });
});

describe('leases', () => {
  it('are renewed with one message for all, first well within the first-renew time, then at a third of the lease', async () => {
    stage.scripts.set('long', { afterMs: 3_600_000, ending: { kind: 'exited', code: 0 } });
    await stage.start({ slots: 2 });
    const long = { command: 'long' };
    stage.gives(await stage.hears('request'), lease(0, { leaseSeconds: 90, firstRenewSeconds: 10 }, long));
    stage.gives(await stage.hears('request'), lease(1, { leaseSeconds: 90, firstRenewSeconds: 10 }, long));
    const leasedMs = stage.clock.monotonicMs();
    const renew = await stage.hears('renew');
    expect(stage.clock.monotonicMs() - leasedMs).toBeLessThan(6_000);
    expect(renew.slot).toBe(0);
    expect(renew.leases.map(({ job, progress }) => [job, progress])).toEqual([
      [jobId(0), 0.5],
      [jobId(1), 0.5],
    ]);
    const answeredMs = stage.clock.monotonicMs();
    stage.broker.say({
      kind: 'renewed',
      slot: 0,
      counter: renew.counter,
      leases: renew.leases.map(({ job, attempt }) => ({ job, attempt, order: 'continue', leaseSeconds: 90 })),
      verdicts: [],
    });
    expect((await stage.hears('renew', 60_000)).counter).toBe(renew.counter + 1);
    const afterMs = stage.clock.monotonicMs() - answeredMs;
    expect(afterMs).toBeGreaterThan(15_000);
    expect(afterMs).toBeLessThan(45_000);
  });

  // proves: L-7
  it('go on through an outage of the broker longer than the lease, and are reported afterwards', async () => {
    stage.scripts.set('long', { afterMs: 300_000, ending: { kind: 'exited', code: 0 } });
    await stage.start();
    stage.gives(
      await stage.hears('request'),
      lease(0, { leaseSeconds: 30, firstRenewSeconds: 10 }, { command: 'long', outputs: [] }),
    );
    await stage.hears('renew', 40_000);
    const heal = stage.network.partition(['broker']);
    await stage.clock.run(120_000);
    expect(stage.launcher.running).toBe(1);
    heal();
    // The broker is back and its answers say that the lease lives (L-8): the agent never stopped.
    let message = await stage.next(60_000);
    while (message?.kind === 'renew') {
      const leases = message.leases.map(({ job, attempt }) => ({
        job,
        attempt,
        order: 'continue' as const,
        leaseSeconds: 900,
      }));
      stage.broker.say({ kind: 'renewed', slot: 0, counter: message.counter, leases, verdicts: [] });
      message = await stage.next(300_000);
    }
    expect(message).toMatchObject({ kind: 'report', job: jobId(0), exit: { kind: 'exited', code: 0 } });
  });

  it.each(['cancel', 'absent'] as const)('ends the job at once when a renewal answers: %s', async (order) => {
    stage.scripts.set('long', { afterMs: 3_600_000, ending: { kind: 'exited', code: 0 }, ignoresTerm: true });
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0, {}, { command: 'long' }));
    const renew = await stage.hears('renew', 40_000);
    expect(stage.launcher.running).toBe(1);
    stage.broker.say({
      kind: 'renewed',
      slot: 0,
      counter: renew.counter,
      leases: order === 'cancel' ? [{ job: jobId(0), attempt: 1, order, leaseSeconds: 0 }] : [],
      verdicts: [],
    });
    expect(await stage.hears('request')).toMatchObject({ counter: 2 });
    expect(stage.launcher.running).toBe(0);
    expect(stage.store.places.size).toBe(0);
    expect(stage.moved).toEqual([]);
    expect(stage.events).toContainEqual(
      expect.objectContaining({ kind: 'attempt', end: order === 'cancel' ? 'cancelled' : 'lost' }),
    );
  });

  it('are renewed at once when the broker asks for it', async () => {
    stage.scripts.set('long', { afterMs: 3_600_000, ending: { kind: 'exited', code: 0 } });
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0, {}, { command: 'long' }));
    await stage.until(() => stage.launcher.running === 1);
    stage.broker.say({ kind: 'notice', command: 'renew-now' });
    expect(await stage.hears('renew', 100)).toMatchObject({ leases: [{ job: jobId(0) }] });
  });

  it('whose report is refused leave nothing behind', async () => {
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0));
    const { slot, counter } = await stage.hears('report');
    stage.broker.say({ kind: 'error', slot, counter, code: 'ATTEMPT_NOT_LIVE', message: 'too late' });
    expect(await stage.hears('request')).toMatchObject({ counter: 3 });
    expect(stage.store.places.size).toBe(0);
  });
});

describe('capabilities', () => {
  it('are asked for where the lease came without them', async () => {
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0, { capabilities: [] }));
    const outputs = await stage.hears('outputs');
    expect(outputs).toMatchObject({ verb: 'put', files: [{ name: 'out', size: 100, sha256: DIGEST }] });
    const { slot, counter, job, attempt } = outputs;
    stage.broker.say({
      kind: 'capabilities',
      slot,
      counter,
      job,
      attempt,
      capabilities: [capability('put', 'out')],
      verdicts: [],
    });
    expect(await stage.hears('report')).toMatchObject({ manifest: [{ name: 'out' }] });
  });

  it('are asked for anew once they are old, though the storage was never asked', async () => {
    stage.scripts.set('long', { afterMs: 1_000_000, ending: { kind: 'exited', code: 0 } });
    await stage.start();
    stage.gives(
      await stage.hears('request'),
      lease(0, { leaseSeconds: 10_000, firstRenewSeconds: 10_000 }, { command: 'long' }),
    );
    expect(await stage.hears('outputs', 1_100_000)).toMatchObject({ verb: 'put' });
  });

  it('are asked for anew when the storage refuses them', async () => {
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0));
    await stage.until(() => stage.launched.length === 1);
    stage.transfers.failNext('upload', 'before', 'CAPABILITY_EXPIRED');
    const { slot, counter, job, attempt } = await stage.hears('outputs');
    const fresh = capability('put', 'out', 'fresh');
    stage.broker.say({
      kind: 'capabilities',
      slot,
      counter,
      job,
      attempt,
      capabilities: [fresh],
      verdicts: [],
    });
    await stage.hears('report');
    expect(stage.moved.map(({ capability: { token } }) => token)).toEqual(['fresh']);
  });

  it('that the broker refuses because the attempt is void end it', async () => {
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0, { capabilities: [] }));
    const { slot, counter } = await stage.hears('outputs');
    stage.broker.say({ kind: 'error', slot, counter, code: 'ATTEMPT_NOT_LIVE', message: 'gone' });
    await stage.hears('request');
    expect(stage.store.places.size).toBe(0);
  });
});

describe('verdicts', () => {
  it('are awaited with the files kept, named as seen, and asked for where nothing else is said', async () => {
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0));
    stage.judges(await stage.hears('report'), { verdict: 'verifying' });
    await stage.hears('request');
    expect(stage.store.places.size).toBe(1);
    const poll = await stage.hears('renew');
    expect(poll).toMatchObject({ leases: [], seen: [] });
    const verdict = { job: jobId(0), attempt: 1, verdict: 'committed', reason: '' } as const;
    stage.broker.say({ kind: 'renewed', slot: 0, counter: poll.counter, leases: [], verdicts: [verdict] });
    await stage.until(() => stage.store.places.size === 0);
    expect(stage.store.places.size).toBe(0);
    expect(stage.events).toContainEqual(expect.objectContaining({ kind: 'attempt', end: 'committed' }));
  });

  it('that stay away keep the agent from taking more work than its disk may hold', async () => {
    await stage.start({ maxUnresolved: 2 });
    stage.gives(await stage.hears('request'), lease(0));
    stage.judges(await stage.hears('report'), { verdict: 'verifying', next: lease(1) });
    const second = await stage.hears('report');
    expect(second.next).toBeUndefined();
    stage.judges(second, { verdict: 'verifying' });
    const poll = await stage.hears('renew');
    const verdict = { job: jobId(0), attempt: 1, verdict: 'committed', reason: '' } as const;
    stage.broker.say({ kind: 'renewed', slot: 0, counter: poll.counter, leases: [], verdicts: [verdict] });
    expect(await stage.hears('request')).toMatchObject({ seen: [{ job: jobId(0), attempt: 1 }] });
  });

  it('are named until an answer shows that the broker heard', async () => {
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0));
    stage.judges(await stage.hears('report'), { next: { reason: 'no-work', retryAfterSeconds: 1 } });
    const first = await stage.hears('request');
    expect(first.seen).toEqual([{ job: jobId(0), attempt: 1 }]);
    stage.hasNone(first, 1);
    expect((await stage.hears('request')).seen).toEqual([]);
  });
});

it('signs what it reports with base64url of 64 bytes', async () => {
  await stage.start();
  stage.gives(await stage.hears('request'), lease(0));
  const { signature } = await stage.hears('report');
  expect(base64url(fromBase64url(signature) ?? new Uint8Array())).toBe(signature);
  expect(fromBase64url(signature)).toHaveLength(64);
});
