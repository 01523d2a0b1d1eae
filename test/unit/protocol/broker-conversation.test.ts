import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Exit, File, Lease, Report } from '../../../protocol/generated/types.ts';
import { type BrokerStage, createBrokerStage, STAGE } from '../../doubles/broker-stage.ts';
import { createRawAgent, type RawAgent } from '../../doubles/raw-agent.ts';

const USAGE = { wallSeconds: 0, cpuSeconds: 0, memoryMiB: 0, diskMiB: 0 };
const SHA256 = 'ab'.repeat(32);
const OUTPUT: File = { name: 'events.dat', size: 10, sha256: SHA256 };
const SUCCESS: Exit = { kind: 'exited', code: 0 };
const UNKNOWN_JOB = 'a'.repeat(26);

let stage: BrokerStage;
let agent: RawAgent;
let counter: number;

beforeEach(async () => {
  stage = await createBrokerStage({ seed: 7 });
  agent = await createRawAgent(stage, stage.enrol(), STAGE);
  await agent.hear('welcome');
  counter = 0;
});

afterEach(async () => {
  await stage.stop();
});

const request = (change: object = {}) => ({
  kind: 'request',
  slot: 1,
  counter: ++counter,
  ad: {},
  seen: [],
  ...change,
});

async function lease(change: object = {}): Promise<Lease> {
  agent.say(request(change));
  return (await agent.hear('job')).lease;
}

function report(
  { job, attempt }: Pick<Lease, 'job' | 'attempt'>,
  change: Partial<Report> = {},
  by = agent,
): Report {
  const said = { job, attempt, exit: SUCCESS, manifest: [OUTPUT], ...change };
  const body = { usage: USAGE, logTail: '', seen: [], signature: by.sign(said) };
  return { kind: 'report', slot: 1, counter: ++counter, ...said, ...body, ...change };
}

async function upload({ job, attempt, capabilities }: Lease, file: File = OUTPUT): Promise<void> {
  const capability = capabilities.find(({ verb, name }) => verb === 'put' && name === file.name)!;
  await stage.storage.put({ job, attempt }, capability.token, file.name, file);
}

const renew = (
  leases: readonly { job: string; attempt: number; progress: number }[],
  seen: object[] = [],
) => ({
  kind: 'renew',
  slot: 0,
  counter: ++counter,
  leases,
  seen,
});

describe('slots and counters', () => {
  // proves: M-5
  it.each([
    ['a request in slot 0', () => request({ slot: 0 })],
    ['a renewal in slot 1', () => ({ ...renew([]), slot: 1 })],
    ['a report in slot 0', () => report({ job: UNKNOWN_JOB, attempt: 1 }, { slot: 0 })],
  ])('%s is MALFORMED_MESSAGE', async (_what, message) => {
    agent.say(message());
    expect(await agent.hear('error')).toMatchObject({ code: 'MALFORMED_MESSAGE' });
  });

  // proves: M-7, M-8
  it('the same request again brings the same lease, with capabilities made afresh', async () => {
    stage.submit();
    stage.submit();
    const first = await lease();
    agent.say(request({ counter }));
    const second = (await agent.hear('job')).lease;
    const { capabilities, ...same } = first;
    expect(second).toMatchObject(same);
    expect(second.capabilities.map(({ token }) => token)).not.toEqual(capabilities.map(({ token }) => token));
  });

  // proves: M-8
  it('the same release again is answered again and gives nothing back twice', async () => {
    const job = stage.submit();
    const { attempt } = await lease();
    const release = { kind: 'release', slot: 1, counter: ++counter, job, attempt, reason: 'drain' };
    for (let times = 0; times < 3; times++) {
      agent.say(release);
      expect(await agent.hear('released')).toMatchObject({ job, attempt, counter });
    }
    expect((await stage.ledger.job(job))?.job).toMatchObject({ state: 'queued', losses: 0, lastAttempt: 1 });
  });

  // proves: M-9
  it('a lower counter is STALE_COUNTER', async () => {
    stage.submit();
    await lease({ counter: 5 });
    agent.say(request({ counter: 4 }));
    expect(await agent.hear('error')).toMatchObject({ code: 'STALE_COUNTER', slot: 1, counter: 4 });
  });

  // proves: M-10
  it('a refused message does not use its counter up', async () => {
    agent.say(report({ job: UNKNOWN_JOB, attempt: 1 }));
    expect(await agent.hear('error')).toMatchObject({ code: 'ATTEMPT_NOT_LIVE', counter: 1 });
    const job = stage.submit();
    expect((await lease({ counter: 1 })).job).toBe(job);
  });

  // proves: M-11
  it('a renewal and a wish for capabilities may be said again and again', async () => {
    stage.submit();
    const { job, attempt } = await lease();
    const wish = { kind: 'outputs', slot: 1, counter: ++counter, job, attempt, verb: 'put', files: [OUTPUT] };
    const alive = renew([{ job, attempt, progress: 0.5 }]);
    for (let times = 0; times < 3; times++) {
      agent.say(wish);
      expect((await agent.hear('capabilities')).capabilities).toHaveLength(1);
      agent.say(alive);
      expect((await agent.hear('renewed')).leases).toMatchObject([{ order: 'continue', leaseSeconds: 900 }]);
    }
  });

  // proves: M-12, W-4
  it('a later start is told where the slots stand and what it holds', async () => {
    const job = stage.submit();
    const { attempt } = await lease({ slot: 3, counter: 41 });
    const later = await createRawAgent(stage, agent.enrolled, STAGE);
    const welcome = await later.hear('welcome');
    expect(welcome).toMatchObject({ slots: [{ slot: 3, counter: 41 }], held: [{ job, attempt }] });
    later.say(renew([{ job, attempt, progress: 0 }]));
    expect((await later.hear('renewed')).leases).toMatchObject([{ order: 'continue' }]);
  });

  // proves: M-14
  it('a repeat that comes while the first is being answered gets no answer of its own', async () => {
    stage.submit();
    const given = await lease();
    await upload(given);
    const message = report(given);
    for (let times = 0; times < 3; times++) agent.say(message);
    await agent.hear('reported');
    await stage.clock.run(10_000);
    expect(agent.heard).toEqual([]);
  });
});

describe('errors', () => {
  // proves: M-22
  it.each([
    { kind: 'call', slot: 1, counter: 1, job: UNKNOWN_JOB, attempt: 1, method: 'getJob', body: '' },
    { kind: 'parts', slot: 1, counter: 1, job: UNKNOWN_JOB, attempt: 1, verb: 'take', parts: [] },
  ])('$kind of an attempt that is none is ATTEMPT_NOT_LIVE', async (message) => {
    agent.say(message);
    expect(await agent.hear('error')).toMatchObject({ code: 'ATTEMPT_NOT_LIVE', slot: 1, counter: 1 });
  });

  // proves: M-2, M-19
  it.each([
    ['text', '{', 'MALFORMED_MESSAGE'],
    ['another kind', '{"kind":"shutdown"}', 'UNKNOWN_KIND'],
    [
      'a field of its own',
      '{"kind":"request","slot":1,"counter":9,"ad":{},"seen":[],"agent":"me"}',
      'MALFORMED_MESSAGE',
    ],
  ])(
    'what cannot be read (%s) is answered for slot 0 and counter 1, and the session goes on',
    async (_what, text, code) => {
      agent.sayBytes(new TextEncoder().encode(text));
      expect(await agent.hear('error')).toMatchObject({ code, slot: 0, counter: 1 });
      stage.submit();
      await lease();
    },
  );

  // proves: M-18
  it('a host ad that names an attribute twice, but for case, is MALFORMED_MESSAGE', async () => {
    agent.say(request({ ad: { Cpus: 1, CPUS: 64 } }));
    expect(await agent.hear('error')).toMatchObject({ code: 'MALFORMED_MESSAGE' });
  });

  // proves: M-18
  it('a job goes only to a host that is what it requires', async () => {
    const job = stage.submit({}, { requirements: 'other.MemoryMiB >= 4096' });
    agent.say(request({ ad: { MemoryMiB: 2048 } }));
    await stage.clock.run(10_000);
    expect(agent.heard).toEqual([]);
    expect((await lease({ ad: { MemoryMiB: 8192 } })).job).toBe(job);
  });
});

describe('waiting for work', () => {
  // proves: M-15
  it('a request without work is answered when work comes', async () => {
    agent.say(request());
    await stage.clock.run(30_000);
    expect(agent.heard).toEqual([]);
    const job = stage.submit();
    expect((await agent.hear('job', 1_000)).lease.job).toBe(job);
  });

  // proves: M-15, M-17
  it('or after the broker’s bound that there is none, and to ask again', async () => {
    agent.say(request());
    const answer = await agent.hear('none', 61_000);
    expect(answer.none).toEqual({ reason: 'no-work', retryAfterSeconds: 0 });
    expect(stage.clock.monotonicMs()).toBeGreaterThan(55_000);
  });

  // proves: M-16
  it('a newer request of the slot takes the place of the parked one', async () => {
    agent.say(request());
    agent.say(request());
    await stage.clock.run(1_000);
    expect(stage.broker.status().parkedRequests).toBe(1);
    stage.submit();
    expect((await agent.hear('job')).counter).toBe(2);
    await stage.clock.run(60_000);
    expect(agent.heard).toEqual([]);
  });

  // proves: L-14
  it('is over at once for whoever holds as many attempts as it may', async () => {
    const limits = { liveAttemptsPerAgent: 1, liveAttemptsPerOwner: 9, unresolvedPerAgent: 9 };
    const quick = { quickFailureMs: 0, quickFailuresAllowed: 9, coolDownMs: 1, maxCoolDownMs: 1 };
    const small = await createBrokerStage({ seed: 8, configuration: { limits: { ...limits, ...quick } } });
    const greedy = await createRawAgent(small, small.enrol(), STAGE);
    await greedy.hear('welcome');
    small.submit();
    small.submit();
    greedy.say(request({ slot: 1 }));
    await greedy.hear('job');
    greedy.say(request({ slot: 2 }));
    expect((await greedy.hear('none')).none.reason).toBe('too-many-attempts');
    await small.stop();
  });
});

describe('a lease', () => {
  // proves: L-1
  it('has what a job needs, and a capability for each of its files', async () => {
    const job = stage.submit({}, { inputs: [{ name: 'card', size: 3, sha256: SHA256 }] });
    const given = await lease();
    expect(given).toMatchObject({
      job,
      attempt: 1,
      queue: 'local',
      leaseSeconds: 900,
      firstRenewSeconds: 60,
    });
    expect(given.capabilities.map(({ verb, name }) => `${verb} ${name}`)).toEqual([
      'get card',
      'put events.dat',
    ]);
  });

  // proves: L-2, L-4
  it('that is not renewed in time is void, and the next has a higher number', async () => {
    stage.submit();
    const { job, attempt } = await lease();
    await stage.clock.run(66_000);
    agent.say(renew([{ job, attempt, progress: 0.1 }]));
    expect((await agent.hear('renewed')).leases).toEqual([
      { job, attempt, order: 'cancel', leaseSeconds: 0 },
    ]);
    agent.say(report({ job, attempt }));
    expect(await agent.hear('error')).toMatchObject({ code: 'ATTEMPT_NOT_LIVE' });
    expect(await lease()).toMatchObject({ job, attempt: attempt + 1 });
  });

  // proves: L-2, L-3
  it('that is renewed once runs whole from then', async () => {
    stage.submit();
    const { job, attempt } = await lease();
    await stage.clock.run(50_000);
    agent.say(renew([{ job, attempt, progress: 0.1 }]));
    await agent.hear('renewed');
    await stage.clock.run(890_000);
    agent.say(renew([{ job, attempt, progress: 0.9 }]));
    expect((await agent.hear('renewed')).leases).toMatchObject([{ order: 'continue' }]);
  });

  // proves: L-5
  it('of another agent cannot be renewed, reported, released or supplied, and nobody learns that it is there', async () => {
    stage.submit();
    const { job, attempt } = await lease();
    const thief = await createRawAgent(stage, stage.enrol(), STAGE);
    await thief.hear('welcome');
    const answers = async (target: string) => {
      const of = { job: target, attempt };
      thief.say(renew([{ ...of, progress: 1 }]));
      const { leases } = await thief.hear('renewed');
      thief.say(report(of, {}, thief));
      const { code: reported } = await thief.hear('error');
      thief.say({ kind: 'release', slot: 1, counter: ++counter, ...of, reason: 'lost' });
      const { code: released } = await thief.hear('error');
      thief.say({ kind: 'outputs', slot: 1, counter: ++counter, ...of, verb: 'put', files: [OUTPUT] });
      const { code: supplied } = await thief.hear('error');
      return [leases.map(({ order }) => order), reported, released, supplied];
    };
    const refused = [['cancel'], 'ATTEMPT_NOT_LIVE', 'ATTEMPT_NOT_LIVE', 'ATTEMPT_NOT_LIVE'];
    expect(await answers(job)).toEqual(refused);
    expect(await answers(UNKNOWN_JOB)).toEqual(refused);
    agent.say(renew([{ job, attempt, progress: 0.5 }]));
    expect((await agent.hear('renewed')).leases).toMatchObject([{ order: 'continue' }]);
  });

  // proves: L-9, M-20
  it('of a job that is cancelled: its holder is told to renew now, and then to stop', async () => {
    const job = stage.submit();
    const { attempt } = await lease();
    await stage.clock.run(1_000);
    stage.framework.cancel(job);
    expect(await agent.hear('notice', 30_000)).toMatchObject({ command: 'renew-now' });
    agent.say(renew([{ job, attempt, progress: 0.5 }]));
    expect((await agent.hear('renewed')).leases).toEqual([
      { job, attempt, order: 'cancel', leaseSeconds: 0 },
    ]);
  });

  // proves: L-13
  it('brings capabilities again, for inputs by their names and for uploads pinned to their digests', async () => {
    stage.submit({}, { inputs: [{ name: 'card', size: 3, sha256: SHA256 }] });
    const { job, attempt } = await lease();
    const ask = async (verb: 'get' | 'put', names: readonly string[], size = 10) => {
      const files = names.map((name) => ({ name, size, sha256: SHA256 }));
      agent.say({ kind: 'outputs', slot: 1, counter: ++counter, job, attempt, verb, files });
      return (await agent.hear('capabilities')).capabilities;
    };
    expect((await ask('get', ['card', 'no-input'])).map(({ name }) => name)).toEqual(['card']);
    expect((await ask('put', ['events.dat', 'undeclared'])).map(({ name }) => name)).toEqual([
      'events.dat',
      'undeclared',
    ]);
    expect(await ask('put', ['events.dat'], 101 * 1024 * 1024)).toEqual([]);
    const [pinned] = await ask('put', ['events.dat']);
    const other = { ...OUTPUT, sha256: 'cd'.repeat(32) };
    await expect(stage.storage.put({ job, attempt }, pinned!.token, 'events.dat', other)).rejects.toThrow();
  });
});

describe('a report', () => {
  // proves: V-5, V-7, V-16
  it('of what storage has is committed, in one message each way with the next lease', async () => {
    const job = stage.submit();
    const next = stage.submit();
    const given = await lease();
    await upload(given);
    agent.say(report(given, { next: {} }));
    const answer = await agent.hear('reported');
    expect(answer).toMatchObject({ job, verdict: 'committed', reason: '', next: { job: next, attempt: 1 } });
    expect(stage.storage.registered(job)).toMatchObject({ attempt: 1, files: [OUTPUT] });
    agent.say({ kind: 'release', slot: 1, counter: ++counter, job, attempt: 1, reason: 'lost' });
    expect(await agent.hear('error')).toMatchObject({ code: 'ATTEMPT_NOT_LIVE' });
    expect((await stage.ledger.job(job))?.job.state).toBe('told');
  });

  // proves: V-7
  it('whose verdict takes long is answered as verifying, and the verdict comes later', async () => {
    stage.submit();
    const given = await lease();
    await upload(given);
    stage.network.disconnect('service.storage');
    agent.say(report(given));
    expect(await agent.hear('reported')).toMatchObject({ verdict: 'verifying' });
    stage.network.reconnect('service.storage');
    await stage.clock.run(60_000);
    agent.say(renew([]));
    expect((await agent.hear('renewed')).verdicts).toMatchObject([{ job: given.job, verdict: 'committed' }]);
  });

  // proves: V-5
  it.each<[string, Partial<Report>, readonly File[]]>([
    ['of a file that was not uploaded', {}, []],
    ['of other bytes than were uploaded', {}, [{ ...OUTPUT, sha256: 'cd'.repeat(32) }]],
    ['of another size', {}, [{ ...OUTPUT, size: 9 }]],
    ['that names a file twice', { manifest: [OUTPUT, OUTPUT] }, [OUTPUT]],
    ['without a declared output', { manifest: [] }, [OUTPUT]],
    [
      'of a file nobody uploaded beside the right one',
      { manifest: [OUTPUT, { ...OUTPUT, name: 'x' }] },
      [OUTPUT],
    ],
  ])('%s is refused', async (_what, change, uploaded) => {
    stage.submit();
    const given = await lease();
    for (const file of uploaded) await upload(given, file);
    agent.say(report(given, change));
    const answer = await agent.hear('reported');
    expect(answer.verdict).toBe('refused');
    expect(answer.reason).not.toBe('');
    expect(stage.storage.registered(given.job)).toBeUndefined();
  });

  // proves: V-6
  it.each<Exit>([
    { kind: 'exited', code: 3 },
    { kind: 'signalled', signal: 'SIGKILL' },
    { kind: 'limit', limit: 'memory' },
    { kind: 'failed', reason: 'no program' },
  ])('of a failure is refused at once, and the job tried again: %j', async (exit) => {
    const job = stage.submit();
    const given = await lease();
    agent.say(report(given, { exit, manifest: [] }));
    expect(await agent.hear('reported', 500)).toMatchObject({ verdict: 'refused' });
    expect(await lease()).toMatchObject({ job, attempt: 2 });
  });

  // proves: V-4
  it.each<[string, (right: Report) => Report]>([
    ['by nobody', (right) => ({ ...right, signature: 'A'.repeat(86) })],
    ['over another exit', (right) => ({ ...right, exit: { kind: 'exited', code: 1 } })],
    ['over another manifest', (right) => ({ ...right, manifest: [] })],
    ['over another attempt', (right) => ({ ...right, signature: agent.sign({ ...right, attempt: 2 }) })],
  ])('that is signed %s is BAD_SIGNATURE and changes nothing', async (_what, change) => {
    stage.submit();
    const given = await lease();
    agent.say(change(report(given)));
    expect(await agent.hear('error')).toMatchObject({ code: 'BAD_SIGNATURE' });
    expect((await stage.ledger.job(given.job))?.job.state).toBe('leased');
  });

  // proves: V-12, M-8
  it('said again is answered as far as things are by then, and changes nothing', async () => {
    const job = stage.submit();
    const given = await lease();
    await upload(given);
    const message = report(given);
    agent.say(message);
    await agent.hear('reported');
    agent.say(message);
    expect(await agent.hear('reported')).toMatchObject({ job, verdict: 'committed' });
    agent.say(report(given, { exit: { kind: 'exited', code: 1 }, manifest: [] }));
    expect(await agent.hear('reported')).toMatchObject({ job, verdict: 'committed' });
    expect((await stage.ledger.job(job))?.job.state).toBe('told');
  });

  // proves: V-14
  it('said again brings the same next lease', async () => {
    stage.submit();
    const next = stage.submit();
    const given = await lease();
    const message = report(given, { exit: { kind: 'exited', code: 1 }, manifest: [], next: {} });
    agent.say(message);
    const first = await agent.hear('reported');
    agent.say(message);
    const second = await agent.hear('reported');
    expect(first.next).toMatchObject({ attempt: expect.any(Number) });
    expect(
      [first.next, second.next].map((lease) => lease !== undefined && 'job' in lease && lease.job),
    ).toContain(next);
    expect(second.next).toMatchObject({
      job: (first.next as Lease).job,
      attempt: (first.next as Lease).attempt,
    });
  });
});

describe('verdicts', () => {
  // proves: V-9, V-10
  it('come with every answer and welcome until they are named as seen', async () => {
    const job = stage.submit({ retries: 0 });
    const given = await lease();
    agent.say(report(given, { exit: { kind: 'exited', code: 3 }, manifest: [] }));
    await agent.hear('reported');
    const pending = [{ job, attempt: 1, verdict: 'refused' }];
    agent.say(renew([]));
    expect((await agent.hear('renewed')).verdicts).toMatchObject(pending);
    agent.initiator.connect();
    expect((await agent.hear('welcome')).verdicts).toMatchObject(pending);
    agent.say(renew([], [{ job, attempt: 1 }]));
    expect((await agent.hear('renewed')).verdicts).toEqual([]);
  });

  // proves: M-23
  it('that fit no message together come later, as others are named as seen', async () => {
    const reason = '€'.repeat(256);
    const limits = { liveAttemptsPerAgent: 9, liveAttemptsPerOwner: 9, unresolvedPerAgent: 9 };
    const quick = { quickFailureMs: 0, quickFailuresAllowed: 99, coolDownMs: 1, maxCoolDownMs: 1 };
    const large = await createBrokerStage({ seed: 9, configuration: { limits: { ...limits, ...quick } } });
    const silent = await createRawAgent(large, large.enrol(), STAGE);
    await silent.hear('welcome');
    const unseen = new Set<string>();
    for (let jobs = 0; jobs < 60; jobs++) {
      unseen.add(large.submit({ retries: 0 }));
      silent.say(request());
      const given = (await silent.hear('job')).lease;
      silent.say(report(given, { exit: { kind: 'failed', reason }, manifest: [] }, silent));
      await silent.hear('reported');
    }
    silent.initiator.connect();
    let { verdicts } = await silent.hear('welcome');
    expect(verdicts.length).toBeLessThan(60);
    while (verdicts.length > 0) {
      for (const { job } of verdicts) unseen.delete(job);
      silent.say(
        renew(
          [],
          verdicts.map(({ job, attempt }) => ({ job, attempt })),
        ),
      );
      ({ verdicts } = await silent.hear('renewed'));
    }
    expect([...unseen]).toEqual([]);
    await large.stop();
  });
});
