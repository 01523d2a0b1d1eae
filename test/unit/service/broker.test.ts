import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createAdapterHost } from '../../../adapters/adapter-host.ts';
import type { Ledger } from '../../../broker/ledger/ledger.ts';
import { createMemoryLedger, type MemoryLedger } from '../../../broker/ledger/memory.ts';
import { createBroker } from '../../../broker/service/broker.ts';
import { DEFAULT_LIMITS } from '../../../broker/service/configuration.ts';
import { createMemoryNetwork } from '../../../protocol/bindings/memory.ts';
import type { Exit, File, Lease, Report } from '../../../protocol/generated/types.ts';
import type { AskBody } from '../../../protocol/session/trusted-link.ts';
import { type BrokerStage, createBrokerStage, STAGE } from '../../doubles/broker-stage.ts';
import { createRawAgent, type RawAgent } from '../../doubles/raw-agent.ts';
import { accept, cancel } from '../lease-machine/world.ts';
import { CONFIGURATION, createRuntime, describe as description, QUEUE } from './service-parts.ts';

const USAGE = { wallSeconds: 0, cpuSeconds: 0, memoryMiB: 0, diskMiB: 0 };
const OUTPUT: File = { name: 'events.dat', size: 10, sha256: 'ab'.repeat(32) };
const FAILED: Exit = { kind: 'exited', code: 1 };

let stage: BrokerStage;
let agent: RawAgent;
let counter: number;

beforeEach(() => open());
afterEach(() => stage.stop());

async function open(configuration: Parameters<typeof createBrokerStage>[0]['configuration'] = {}) {
  stage = await createBrokerStage({ seed: 11, configuration });
  agent = await join();
  counter = 0;
}

/** The stage again, with another configuration. */
async function reopen(configuration: Parameters<typeof createBrokerStage>[0]['configuration']) {
  await stage.stop();
  await open(configuration);
}

async function join(): Promise<RawAgent> {
  const joined = await createRawAgent(stage, stage.enrol(), STAGE);
  await joined.hear('welcome');
  return joined;
}

const request = (change: object = {}) => ({
  kind: 'request',
  slot: 1,
  counter: ++counter,
  ad: {},
  seen: [],
  ...change,
});

async function lease(by = agent, change: object = {}): Promise<Lease> {
  by.say(request(change));
  return (await by.hear('job')).lease;
}

function report({ job, attempt }: Pick<Lease, 'job' | 'attempt'>, change: Partial<Report> = {}): Report {
  const exit: Exit = { kind: 'exited', code: 0 };
  const said = { job, attempt, exit, manifest: [OUTPUT], ...change };
  const body = { usage: USAGE, logTail: '', seen: [], signature: agent.sign(said) };
  return { kind: 'report', slot: 1, counter: ++counter, ...said, ...body, ...change };
}

const renew = (leases: readonly { job: string; attempt: number; progress: number }[]) => ({
  kind: 'renew',
  slot: 0,
  counter: ++counter,
  leases,
  seen: [],
});

const failure = (given: Lease, change: Partial<Report> = {}) =>
  report(given, { exit: FAILED, manifest: [], ...change });

async function upload({ job, attempt, capabilities }: Lease): Promise<void> {
  const { token } = capabilities.find(({ verb }) => verb === 'put')!;
  await stage.storage.put({ job, attempt }, token, OUTPUT.name, OUTPUT);
}

const stateOf = async (job: string) => (await stage.ledger.job(job))?.job.state;

function ledgerTwin(): MemoryLedger {
  const { ledger } = stage;
  if (!isTwin(ledger)) throw new Error('the stage has another ledger');
  return ledger;
}

function isTwin(ledger: Ledger): ledger is MemoryLedger {
  return 'failNext' in ledger;
}

describe('a request that waits', () => {
  it('is answered by a job its host may run, and left alone by any other', async () => {
    const small = agent;
    const large = await join();
    small.say(request({ ad: { MemoryMiB: 1_000 } }));
    large.say(request({ ad: { MemoryMiB: 8_000 } }));
    await stage.clock.run(1_000);
    const job = stage.submit({}, { requirements: 'other.MemoryMiB >= 4000' });
    expect((await large.hear('job')).lease.job).toBe(job);
    await stage.clock.run(1_000);
    expect([small.heard, stage.broker.status().parkedRequests]).toEqual([[], 1]);
  });

  it('I9 beyond the bound is told that the broker is busy', async () => {
    await reopen({ maxParked: 1 });
    agent.say(request());
    await stage.clock.run(100);
    const late = await join();
    late.say(request());
    expect((await late.hear('none')).none).toEqual({ reason: 'busy', retryAfterSeconds: 5 });
  });

  it('gets the job that one before it may not have', async () => {
    await reopen({ limits: { ...DEFAULT_LIMITS, liveAttemptsPerAgent: 1 } });
    stage.submit();
    const second = stage.submit();
    await lease();
    agent.say(request({ slot: 2 }));
    expect((await agent.hear('none')).none.reason).toBe('too-many-attempts');
    expect((await lease(await join())).job).toBe(second);
  });
});

describe('who fails fast', () => {
  const limits = { ...DEFAULT_LIMITS, quickFailuresAllowed: 1, coolDownMs: 60_000 };
  beforeEach(() => reopen({ limits }));

  it('gets no work for a while, hears how long, and then gets it', async () => {
    stage.submit({ retries: 9 });
    agent.say(failure(await lease()));
    await agent.hear('reported');
    agent.say(failure(await lease(), { next: {} }));
    expect((await agent.hear('reported')).next).toMatchObject({
      reason: 'cooling-down',
      retryAfterSeconds: 60,
    });
    await stage.clock.run(20_000);
    agent.say(request());
    const answer = await agent.hear('none');
    expect(answer.none.reason).toBe('cooling-down');
    expect(Math.round(answer.none.retryAfterSeconds)).toBe(40);
    expect(answer.verdicts).toHaveLength(2);
    await stage.clock.run(40_000);
    expect(await lease()).toMatchObject({ attempt: 3 });
  });

  it('does not keep the job from others', async () => {
    const job = stage.submit({ retries: 9 });
    for (let times = 0; times < 2; times++) {
      agent.say(failure(await lease()));
      await agent.hear('reported');
    }
    expect((await lease(await join())).job).toBe(job);
  });
});

describe('a report with the wish for the next job', () => {
  it('where there is none is told so, and to ask again', async () => {
    stage.submit({ retries: 0 });
    agent.say(failure(await lease(), { next: {} }));
    expect((await agent.hear('reported')).next).toEqual({ reason: 'no-work', retryAfterSeconds: 0 });
  });

  it('said again when work has come brings it, and again the same', async () => {
    stage.submit({ retries: 0 });
    const message = failure(await lease(), { next: {} });
    agent.say(message);
    await agent.hear('reported');
    const job = stage.submit();
    await stage.clock.run(1_000);
    for (let times = 0; times < 2; times++) {
      agent.say(message);
      expect(await agent.hear('reported')).toMatchObject({ verdict: 'refused', next: { job, attempt: 1 } });
    }
  });

  it('said again after that lease has ended brings none', async () => {
    stage.submit({ retries: 0 });
    stage.submit({ retries: 0 });
    const message = failure(await lease(), { next: {} });
    agent.say(message);
    expect((await agent.hear('reported')).next).toHaveProperty('job');
    await stage.clock.run(70_000);
    agent.say(message);
    expect((await agent.hear('reported')).next).toMatchObject({ reason: 'no-work' });
  });

  it('that is refused brings no job either', async () => {
    stage.submit();
    stage.submit();
    const given = await lease();
    agent.say(report(given, { attempt: 7, next: {} }));
    expect(await agent.hear('error')).toMatchObject({ code: 'ATTEMPT_NOT_LIVE' });
    expect(stage.framework.records().filter(({ progress }) => progress.attempt > 0)).toHaveLength(1);
  });

  it('hears of the commit that storage has registered although the ledger has not recorded it', async () => {
    const job = stage.submit();
    const given = await lease();
    await upload(given);
    const { ledger } = stage;
    const apply = ledger.apply.bind(ledger);
    const held = Promise.withResolvers<undefined>();
    ledger.apply = async (commands) => {
      if (commands.some(({ kind }) => kind === 'finalised')) await held.promise;
      return apply(commands);
    };
    agent.say(report(given));
    expect(await agent.hear('reported')).toMatchObject({ verdict: 'committed' });
    expect(await ledger.job(job)).toMatchObject({ job: { state: 'committing' } });
    held.resolve(undefined);
    await stage.clock.run(1_000);
    expect(await ledger.job(job)).toMatchObject({ job: { state: 'told' } });
  });

  it('of one who may hold no more hears the verdict and that', async () => {
    await reopen({ limits: { ...DEFAULT_LIMITS, unresolvedPerAgent: 1 } });
    stage.submit();
    stage.submit();
    const given = await lease();
    await upload(given);
    stage.network.disconnect('service.storage');
    agent.say(report(given, { next: {} }));
    expect(await agent.hear('reported')).toMatchObject({
      verdict: 'verifying',
      next: { reason: 'too-many-attempts', retryAfterSeconds: 5 },
    });
    stage.network.reconnect('service.storage');
    await stage.clock.run(60_000);
    agent.say(request());
    expect((await agent.hear('job')).verdicts).toMatchObject([{ job: given.job, verdict: 'committed' }]);
  });
});

describe('a request said again', () => {
  it('after its lease has ended is ATTEMPT_NOT_LIVE, and leases nothing', async () => {
    stage.submit();
    await lease();
    await stage.clock.run(70_000);
    agent.say(request({ counter: 1 }));
    expect(await agent.hear('error')).toMatchObject({ code: 'ATTEMPT_NOT_LIVE', counter: 1 });
  });

  it('names verdicts as seen', async () => {
    stage.submit({ retries: 0 });
    const given = await lease();
    agent.say(failure(given));
    await agent.hear('reported');
    stage.submit();
    agent.say(request({ seen: [{ job: given.job, attempt: given.attempt }] }));
    expect((await agent.hear('job')).verdicts).toEqual([]);
  });
});

describe('a ledger that takes nothing', () => {
  it('a request is told so, and the job is there when it is asked for again', async () => {
    const job = stage.submit();
    await stage.clock.run(100);
    ledgerTwin().failNext('LEDGER_FULL');
    agent.say(request());
    expect(await agent.hear('error')).toMatchObject({ code: 'LEDGER_FULL', slot: 1, counter: 1 });
    expect((await lease(agent, { counter: 1 })).job).toBe(job);
  });

  it('a request that waits is told that the broker is busy, and the job is kept', async () => {
    agent.say(request());
    await stage.clock.run(100);
    const { ledger } = stage;
    const apply = ledger.apply.bind(ledger);
    ledger.apply = (commands) => {
      if (commands.some(({ kind }) => kind === 'lease')) ledgerTwin().failNext('LEDGER_FULL');
      return apply(commands);
    };
    const job = stage.submit();
    expect((await agent.hear('none')).none).toEqual({ reason: 'busy', retryAfterSeconds: 5 });
    ledger.apply = apply;
    expect((await lease()).job).toBe(job);
  });

  it.each(['LEDGER_FULL', 'LEDGER_UNAVAILABLE'] as const)(
    'a report is told so (%s), and is committed when it is said again',
    async (code) => {
      const job = stage.submit();
      const next = stage.submit();
      const given = await lease();
      await upload(given);
      const message = report(given, { next: {} });
      await stage.clock.run(1_000);
      ledgerTwin().failNext(code);
      agent.say(message);
      expect(await agent.hear('error')).toMatchObject({ code, counter: message.counter });
      agent.say(message);
      expect(await agent.hear('reported')).toMatchObject({ verdict: 'committed', next: { job: next } });
      await stage.clock.run(1_000);
      expect(await stateOf(job)).toBe('told');
    },
  );

  it('a renewal and a release are told so, and change nothing', async () => {
    stage.submit();
    const { job, attempt } = await lease();
    await stage.clock.run(1_000);
    for (const message of [
      renew([{ job, attempt, progress: 0.5 }]),
      { kind: 'release', slot: 1, counter: ++counter, job, attempt, reason: 'drain' },
    ]) {
      ledgerTwin().failNext('LEDGER_UNAVAILABLE');
      agent.say(message);
      expect(await agent.hear('error')).toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    }
    expect(await stateOf(job)).toBe('leased');
  });

  it('an agent is not welcomed, and is when it comes again', async () => {
    ledgerTwin().failNext('LEDGER_UNAVAILABLE');
    const late = await createRawAgent(stage, stage.enrol(), STAGE);
    await stage.clock.run(5_000);
    late.initiator.connect();
    await late.hear('welcome');
  });

  it('a sweep that fails is followed by another', async () => {
    const job = stage.submit();
    await lease();
    const { ledger } = stage;
    const due = ledger.due.bind(ledger);
    ledger.due = () => Promise.reject(new Error('the disk is away'));
    await stage.clock.run(120_000);
    expect(await stateOf(job)).toBe('leased');
    ledger.due = due;
    await stage.clock.run(6_000);
    expect(await stateOf(job)).toBe('queued');
  });
});

describe('a lease', () => {
  it.each(['before', 'after'] as const)(
    'comes without capabilities where storage fails %s minting, and they can be asked for',
    async (when) => {
      stage.submit();
      stage.storage.failNext('mint', when);
      const { job, attempt, capabilities } = await lease();
      expect(capabilities).toEqual([]);
      const outputs = { kind: 'outputs', slot: 1, counter: ++counter, job, attempt };
      agent.say({ ...outputs, verb: 'put', files: [OUTPUT] });
      expect((await agent.hear('capabilities')).capabilities).toMatchObject([{ name: OUTPUT.name }]);
    },
  );

  it('gives nothing after its deadline, whether a sweep has noticed or not', async () => {
    await reopen({ sweepMs: 3_600_000 });
    agent = await join();
    const id = stage.submit();
    const { job, attempt, firstRenewSeconds } = await lease();
    await stage.clock.run(firstRenewSeconds * 1000 + 1);
    agent.say({ kind: 'outputs', slot: 1, counter: ++counter, job, attempt, verb: 'put', files: [OUTPUT] });
    expect((await agent.hear('error')).code).toBe('ATTEMPT_NOT_LIVE');
    expect(await stateOf(id)).toBe('queued');
  });

  it('waits seconds, not longer, for a storage that is away', async () => {
    stage.submit();
    stage.network.disconnect('service.storage');
    agent.say(request());
    expect((await agent.hear('job', 6_000)).lease.capabilities).toEqual([]);
  });

  it('has capabilities for as many files as a job may name', async () => {
    const outputs = Array.from({ length: 16 }, (_, at) => ({ name: `out-${at}` }));
    const inputs = outputs.map(({ name }) => ({ ...OUTPUT, name: `in-${name}` }));
    stage.submit({}, { outputs, inputs });
    const { capabilities } = await lease();
    expect(capabilities.map(({ name }) => name)).toEqual([...inputs, ...outputs].map(({ name }) => name));
  });

  it('that ends without a result is told to the framework, and again with the next', async () => {
    const job = stage.submit();
    const { attempt } = await lease();
    await stage.clock.run(1_000);
    expect(stage.framework.record(job)).toMatchObject({ progress: { state: 'running', attempt } });
    await stage.clock.run(70_000);
    expect(stage.framework.record(job)).toMatchObject({ failures: [{ attempt }] });
    await lease();
    await stage.clock.run(1_000);
    expect(stage.framework.record(job)?.progress).toMatchObject({ state: 'running', attempt: attempt + 1 });
  });
});

describe('a job that ended behind the pool’s back', () => {
  it('is passed over, and so are many: whoever asked waits for the next', async () => {
    const queue = { ...QUEUE, prefetch: 64, leaseMs: 900_000, firstRenewMs: 60_000 };
    await reopen({ queues: [queue] });
    const stale = Array.from({ length: 40 }, () => stage.submit());
    await stage.clock.run(1_000);
    await stage.ledger.apply(stale.map((job) => cancel(job)));
    agent.say(request());
    await stage.clock.run(1_000);
    expect([agent.heard, stage.broker.status().parkedRequests]).toEqual([[], 1]);
    const job = stage.submit();
    expect((await agent.hear('job')).lease.job).toBe(job);
  });
});

describe('an agent that is drained', () => {
  it('hears so, keeps what it runs, and leaves new work to others until it is wanted again', async () => {
    stage.submit();
    const { job, attempt } = await lease();
    await stage.broker.drain(agent.enrolled.agent, true);
    expect(await agent.hear('notice')).toMatchObject({ command: 'drain' });
    agent.say(renew([{ job, attempt, progress: 0.5 }]));
    expect((await agent.hear('renewed')).leases).toMatchObject([{ job, attempt, order: 'drain' }]);
    const next = stage.submit();
    agent.say(request({ slot: 2 }));
    expect((await agent.hear('none')).none).toMatchObject({ reason: 'draining', retryAfterSeconds: 30 });
    expect((await lease(await join())).job).toBe(next);
    await stage.broker.drain(agent.enrolled.agent, false);
    const last = stage.submit();
    agent.say(request({ slot: 2 }));
    expect((await agent.hear('job')).lease.job).toBe(last);
  });

  it('is framework news all the same: its renewals are told', async () => {
    const job = stage.submit();
    const { attempt } = await lease();
    await stage.broker.drain(agent.enrolled.agent, true);
    agent.say(renew([{ job, attempt, progress: 0.5 }]));
    await stage.clock.run(1_000);
    expect(stage.framework.record(job)?.progress).toMatchObject({ progress: 0.5 });
  });
});

describe('an agent that is taken out', () => {
  it('hears farewell, and its job goes to one who waits', async () => {
    const job = stage.submit();
    await lease();
    const other = await join();
    other.say(request());
    await stage.clock.run(100);
    await stage.broker.revoke(agent.enrolled.agent, 'misbehaves');
    expect(await agent.hear('farewell')).toMatchObject({ code: 'REVOKED' });
    expect((await other.hear('job')).lease).toMatchObject({ job, attempt: 2 });
    expect(stage.broker.status().connectedAgents).toBe(1);
  });

  it.each<[string, (held: Lease) => object]>([
    ['request', () => request({ slot: 2 })],
    ['renew', ({ job, attempt }) => renew([{ job, attempt, progress: 0.5 }])],
    ['report', (held) => failure(held)],
    [
      'release',
      ({ job, attempt }) => ({ kind: 'release', slot: 1, counter: ++counter, job, attempt, reason: 'drain' }),
    ],
  ])('with its owner hears so at its next %s, which changes nothing', async (_kind, say) => {
    const job = stage.submit();
    const held = await lease();
    await stage.ledger.apply([{ kind: 'ban', owner: 'somebody', banned: true }]);
    agent.say(say(held));
    expect(await agent.hear('farewell')).toMatchObject({ code: 'BANNED' });
    expect(await stateOf(job)).toBe('leased');
  });

  it('may be one that was never seen', async () => {
    const unseen = stage.enrol();
    await stage.broker.revoke(unseen.agent, 'its disk was stolen');
    const late = await createRawAgent(stage, unseen, STAGE);
    expect(await late.hear('farewell')).toMatchObject({ code: 'REVOKED' });
  });
});

describe('what adapters ask', () => {
  /** Another program with an adapter's key, at its address. */
  async function playAdapter(name: 'jobs' | 'storage', keyId: number, body: AskBody): Promise<void> {
    stage.network.kill(`service.${name}`);
    const host = createAdapterHost({
      runtime: stage.runtimeOf(name),
      bus: stage.network.bus(`service.${name}`),
      installation: STAGE,
      name,
      start: 'b'.repeat(26),
      staticKey: stage.adapterKeys[name],
      keyId,
      brokers: [stage.brokerKey.publicKey.raw],
      onAsk: () => new Promise(() => undefined),
      onBroker: () => host.tell(body),
    });
    await host.start();
    await stage.clock.run(60_000);
    expect(host.isConnected).toBe(true);
    await host.stop();
  }

  it('an adapter hears a broker no more whose key was taken from it, on the session that is there', async () => {
    const asked: string[] = [];
    let believed = true;
    stage.network.kill('service.jobs');
    const host = createAdapterHost({
      runtime: stage.runtimeOf('jobs'),
      bus: stage.network.bus('service.jobs'),
      installation: STAGE,
      name: 'jobs',
      start: 'b'.repeat(26),
      staticKey: stage.adapterKeys.jobs,
      keyId: 1,
      brokers: [],
      isBroker: () => believed,
      onAsk: async ({ op }) => {
        asked.push(op);
        return { result: 'jobs', jobs: [], more: false };
      },
      onBroker: () => host.tell({ op: 'available', queue: QUEUE.name, count: 1 }),
    });
    await host.start();
    await stage.clock.run(60_000);
    expect(asked).toContain('fetch');
    believed = false;
    asked.length = 0;
    host.tell({ op: 'available', queue: QUEUE.name, count: 1 });
    await stage.clock.run(60_000);
    expect([asked, host.isConnected]).toEqual([[], false]);
    await host.stop();
  });

  it('a job is ended by the adapter it came from', async () => {
    const job = stage.submit();
    await stage.clock.run(1_000);
    await playAdapter('jobs', 1, { op: 'kill', job, reason: 'not wanted' });
    expect((await stage.ledger.job(job))?.job).toMatchObject({ state: 'cancelled', reason: 'not wanted' });
  });

  it('and by no other', async () => {
    const job = stage.submit();
    await stage.clock.run(1_000);
    await playAdapter('storage', 2, { op: 'kill', job, reason: 'not wanted' });
    expect(await stateOf(job)).toBe('queued');
  });

  it.each<AskBody>([
    { op: 'kill', job: 'a'.repeat(26), reason: 'who is that' },
    { op: 'fetch', queue: 'local', max: 1, accepted: [] },
    { op: 'discard', job: 'a'.repeat(26), attempt: 1 },
    { op: 'available', queue: 'no such queue', count: 1 },
  ])('$op of what is not theirs changes nothing', async (body) => {
    const job = stage.submit();
    await stage.clock.run(1_000);
    await playAdapter('jobs', 1, body);
    expect(await stateOf(job)).toBe('queued');
  });

  it('a job with requirements that cannot be read comes back as failed, and does no harm', async () => {
    const wrong = stage.submit({}, { requirements: 'other.Cpus >' });
    const right = stage.submit();
    expect((await lease()).job).toBe(right);
    await stage.clock.run(1_000);
    expect(stage.framework.record(wrong)?.progress).toMatchObject({
      state: 'failed',
      reason: expect.stringContaining('expected'),
    });
    expect(await stage.ledger.job(wrong)).toBeUndefined();
  });

  it('cancelling what ended, or never was, changes nothing', async () => {
    expect(await stage.broker.cancel('a'.repeat(26), 'why not')).toBeUndefined();
    const job = stage.submit({ retries: 0 });
    agent.say(failure(await lease()));
    await agent.hear('reported');
    await stage.clock.run(1_000);
    expect(await stage.broker.cancel(job, 'too late')).toMatchObject({ state: 'failed' });
  });
});

describe('a broker', () => {
  it('says how it is', async () => {
    agent.say(request());
    await stage.clock.run(100);
    expect(stage.broker.status()).toEqual({
      connectedAgents: 1,
      parkedRequests: 1,
      openDuties: 0,
      adapters: { jobs: true, storage: true },
    });
    stage.network.disconnect('service.storage');
    await stage.clock.run(60_000);
    expect(stage.broker.status()).toMatchObject({
      parkedRequests: 0,
      adapters: { jobs: true, storage: false },
    });
  });

  it('finds its adapters again after its own connection was away', async () => {
    stage.network.disconnect('broker');
    await stage.clock.run(10_000);
    expect(stage.broker.status().adapters).toEqual({ jobs: false, storage: false });
    stage.network.reconnect('broker');
    await stage.clock.run(60_000);
    expect(stage.broker.status().adapters).toEqual({ jobs: true, storage: true });
  });

  it('takes up every waiting job and every duty it finds at its start, page by page', async () => {
    const runtime = createRuntime();
    const ledger = createMemoryLedger(runtime);
    const text = JSON.stringify(description());
    const names = Array.from({ length: 1_300 }, (_, at) => `j${at}`);
    await ledger.apply(names.map((name) => accept(name, { description: text })));
    await ledger.apply(names.slice(0, 300).map((name) => cancel(name)));
    const pages: string[] = [];
    const list = ledger.list.bind(ledger);
    ledger.list = (query, after, limit) => {
      pages.push(`${query.kind} after ${after}`);
      return list(query, after, limit);
    };
    const bus = createMemoryNetwork(runtime).bus('broker');
    const broker = createBroker({ runtime, configuration: CONFIGURATION, bus, ledger });
    await broker.start();
    expect(pages).toEqual(['queued after ', 'queued after j811', 'duties after ', 'duties after j255']);
    expect(broker.status().openDuties).toBe(300);
    await broker.stop();
    await broker.stop();
    expect(runtime.clock.pending()).toBe(0);
  });
});
