import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { File, Lease } from '../../../protocol/generated/types.ts';
import { eventually } from '../../doubles/eventually.ts';
import type { LiveAgent } from '../../doubles/live-agent.ts';
import { type LiveBroker, openLiveBroker } from '../../doubles/live-broker.ts';

let broker: LiveBroker;

beforeAll(async () => {
  broker = await openLiveBroker({ queue: { leaseMs: 3_000, firstRenewMs: 3_000 } });
});

afterEach(() => broker.clear());
afterAll(() => broker.close());

const EVENTS = new TextEncoder().encode('the events');
const JUNK = new TextEncoder().encode('no events at all');

/** Fails the test where the job is not finished, or by another attempt. */
async function finishedBy(job: string, attempt: number, manifest: readonly File[]): Promise<void> {
  expect(await broker.end(job)).toMatchObject({ progress: { state: 'finished' }, manifest });
  const { attempts } = (await broker.job(job)).job;
  const committed = attempts.filter(({ state }) => state === 'committed').map(({ number }) => number);
  expect(committed).toEqual([attempt]);
}

/** Uploads and reports, to `committed`. */
async function finish(agent: LiveAgent, lease: Lease): Promise<readonly File[]> {
  const manifest = [await agent.upload(lease, 'events.dat', EVENTS)];
  expect(await agent.ask(agent.report(lease, manifest))).toMatchObject({ verdict: 'committed' });
  return manifest;
}

/** Waits until the ledger gave the attempt up. */
async function lost(job: string, attempt: number): Promise<void> {
  await eventually(
    'the lease to run out',
    async () =>
      (await broker.job(job)).job.attempts.find(
        ({ number, state }) => number === attempt && state === 'void',
      ),
    10_000,
  );
}

describe("another agent's lease (I2)", () => {
  it('cannot be renewed, reported, given back or asked outputs for; it says not even that it is there', async () => {
    const job = broker.submit();
    const [alice, mallory] = [await broker.agent(), await broker.agent()];
    const lease = await alice.takeJob();
    for (const wanted of [
      { job, attempt: 1 },
      { job: 'a'.repeat(26), attempt: 1 },
    ]) {
      const file = { name: 'events.dat', size: 3, sha256: '0'.repeat(64) };
      const refused = { kind: 'error', code: 'ATTEMPT_NOT_LIVE' };
      expect(await mallory.ask(mallory.report(wanted, [file]))).toMatchObject(refused);
      expect(await mallory.ask({ kind: 'release', ...wanted, reason: 'drain' })).toMatchObject(refused);
      for (const verb of ['get', 'put'])
        expect(await mallory.ask({ kind: 'outputs', ...wanted, verb, files: [file] })).toMatchObject(refused);
      const renewed = await mallory.ask({ kind: 'renew', leases: [{ ...wanted, progress: 1 }], seen: [] });
      expect(renewed).toMatchObject({
        kind: 'renewed',
        leases: [{ ...wanted, order: 'cancel', leaseSeconds: 0 }],
      });
    }
    await finishedBy(job, 1, await finish(alice, lease));
  });

  it("whose capability was stolen takes no file from another's key", async () => {
    const job = broker.submit();
    const [alice, mallory] = [await broker.agent(), await broker.agent()];
    const lease = await alice.takeJob();
    await expect(mallory.upload(lease, 'events.dat', JUNK)).rejects.toMatchObject({
      code: 'CAPABILITY_WRONG_KEY',
    });
    await finishedBy(job, 1, await finish(alice, lease));
  });
});

describe('an attempt number', () => {
  it.each([2, 1_000_000])('that was never given (%i) is worth nothing', async (attempt) => {
    const job = broker.submit();
    const agent = await broker.agent();
    const lease = await agent.takeJob();
    const manifest = [await agent.upload(lease, 'events.dat', EVENTS)];
    const answer = await agent.ask(agent.report({ job, attempt }, manifest));
    expect(answer).toMatchObject({ kind: 'error', code: 'ATTEMPT_NOT_LIVE' });
    expect(await agent.ask(agent.report(lease, manifest))).toMatchObject({ verdict: 'committed' });
    await finishedBy(job, 1, manifest);
  });

  it('that was lost cannot be used any more, before and after the next attempt commits (I1, I3)', async () => {
    const job = broker.submit();
    const [stopped, other] = [await broker.agent(), await broker.agent()];
    const old = await stopped.takeJob();
    await lost(job, 1);
    const lease = await other.takeJob();
    expect(lease).toMatchObject({ job, attempt: 2 });

    // The stopped agent goes on as if nothing had happened.
    await expect(stopped.upload(old, 'events.dat', JUNK)).rejects.toMatchObject({
      code: expect.stringMatching(/^(?:ATTEMPT_CLOSED|CAPABILITY_EXPIRED)$/),
    });
    const junk = { name: 'events.dat', size: JUNK.length, sha256: 'f'.repeat(64) };
    const refused = { kind: 'error', code: 'ATTEMPT_NOT_LIVE' };
    expect(await stopped.ask(stopped.report(old, [junk]))).toMatchObject(refused);
    const manifest = await finish(other, lease);
    expect(await stopped.ask(stopped.report(old, [junk]))).toMatchObject(refused);
    expect(await stopped.ask(stopped.report({ job, attempt: 2 }, [junk]))).toMatchObject(refused);
    expect(
      await stopped.ask({ kind: 'renew', leases: [{ job, attempt: 1, progress: 1 }], seen: [] }),
    ).toMatchObject({ leases: [{ order: 'cancel' }] });
    await finishedBy(job, 2, manifest);
  });
});

describe('a report', () => {
  it('said again is answered again, and changes nothing, whatever it says by then (I3)', async () => {
    const job = broker.submit();
    const agent = await broker.agent();
    const lease = await agent.takeJob();
    const manifest = [await agent.upload(lease, 'events.dat', EVENTS)];
    const counter = agent.count();
    const first = await agent.ask({ ...agent.report(lease, manifest), counter });
    expect(first).toMatchObject({ kind: 'reported', verdict: 'committed' });
    expect(await agent.ask({ ...agent.report(lease, manifest), counter })).toMatchObject({
      counter,
      verdict: 'committed',
    });
    const failed = { exit: { kind: 'exited' as const, code: 1 } };
    const words = {
      ...agent.report(lease, []),
      ...failed,
      signature: agent.raw.sign({ ...lease, ...failed, manifest: [] }),
    };
    expect(await agent.ask(words)).toMatchObject({ kind: 'reported', verdict: 'committed' });
    await finishedBy(job, 1, manifest);
  });

  it('signed by another key, over other words, or not at all is refused; the right one still counts', async () => {
    const job = broker.submit();
    const [agent, mallory] = [await broker.agent(), await broker.agent()];
    const lease = await agent.takeJob();
    const manifest = [await agent.upload(lease, 'events.dat', EVENTS)];
    const right = { ...lease, exit: { kind: 'exited' as const, code: 0 }, manifest };
    const wrong = [
      'A'.repeat(86),
      mallory.raw.sign(right),
      agent.raw.sign({ ...right, attempt: 2 }),
      agent.raw.sign({ ...right, job: 'a'.repeat(26) }),
      agent.raw.sign({ ...right, manifest: [] }),
      agent.raw.sign({ ...right, exit: { kind: 'exited', code: 1 } }),
    ];
    for (const signature of wrong)
      expect(await agent.ask(agent.report(lease, manifest, { signature }))).toMatchObject({
        kind: 'error',
        code: 'BAD_SIGNATURE',
      });
    expect(await agent.ask(agent.report(lease, manifest))).toMatchObject({ verdict: 'committed' });
    await finishedBy(job, 1, manifest);
  });

  it('with a counter that is behind is refused, and does not take the place of the one that is answered', async () => {
    const job = broker.submit();
    const agent = await broker.agent();
    agent.count();
    agent.count();
    const lease = await agent.takeJob();
    const manifest = [await agent.upload(lease, 'events.dat', EVENTS)];
    for (const counter of [1, 2])
      expect(await agent.ask({ ...agent.report(lease, manifest), counter })).toMatchObject({
        kind: 'error',
        counter,
        code: 'STALE_COUNTER',
      });
    expect(await agent.ask(agent.report(lease, manifest))).toMatchObject({ verdict: 'committed' });
    await finishedBy(job, 1, manifest);
  });
});

describe('a key in two places', () => {
  it('that supersede each other is quarantined, and its job runs elsewhere (I4)', async () => {
    const job = broker.submit();
    const enrolled = broker.identity();
    const first = await broker.agent(enrolled);
    const second = await broker.agent(enrolled);
    const starts = [first.raw.start, second.raw.start];
    let code = '';
    for (let turn = 0; turn < 10 && code !== 'QUARANTINED'; turn += 1) {
      const start = starts[turn % 2] ?? '';
      code = await broker.agent(enrolled, { start }).then(
        async (agent) => {
          await agent.vanish();
          return 'welcome';
        },
        (caught: unknown) => (String(caught).includes('QUARANTINED') ? 'QUARANTINED' : String(caught)),
      );
    }
    expect(code).toBe('QUARANTINED');
    expect((await broker.row(enrolled.agent)).status).toBe('quarantined');
    const honest = await broker.agent();
    expect(await honest.work()).toMatchObject({ job, verdict: 'committed' });
  });
});
