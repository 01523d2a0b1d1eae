import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createNodeRuntime } from '../../../protocol/runtime/node-runtime.ts';
import { newId } from '../../../protocol/encoding.ts';
import type { Report } from '../../../protocol/generated/types.ts';
import type { Cause } from '../../../cli/why/causes.ts';
import { eventually } from '../../doubles/eventually.ts';
import type { LiveAgent } from '../../doubles/live-agent.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { openWhyWorld, type WhyWorld } from './world.ts';

const BYTES = new TextEncoder().encode('the events');
const QUIET = { quickFailuresAllowed: 1000 };

let world: WhyWorld;

/** An agent whose session is there and who does not ask, so that nothing takes a job away from the one that is explained. */
async function bystander(): Promise<LiveAgent> {
  const agent = await world.live.agent();
  const other = await world.submit();
  const lease = await agent.takeJob();
  expect(lease.job).toBe(other);
  await renew(agent, other);
  return agent;
}

async function renew(agent: LiveAgent, job: string, attempt = 1): Promise<void> {
  const lease = { job, attempt, progress: 0.5 };
  expect(await agent.ask({ kind: 'renew', leases: [lease], seen: [] })).toMatchObject({ kind: 'renewed' });
}

/** Takes the job and reports that it ended like this. */
async function fails(exit: Report['exit'], retries = 0): Promise<string> {
  const job = await world.submit({}, { retries });
  const agent = await world.live.agent();
  for (let tries = 0; tries <= retries; tries += 1) {
    const { job: taken, attempt } = await agent.takeJob();
    expect(taken).toBe(job);
    const said = { job, attempt, exit, manifest: [] };
    await agent.ask(agent.report({ job, attempt }, [], { exit, signature: agent.raw.sign(said) }));
  }
  return job;
}

describe('job why, of a broker with its bridge and its local queue', () => {
  beforeAll(async () => {
    world = await openWhyWorld({ limits: QUIET, queue: { prefetch: 8, maxLost: 2 } });
  });
  afterEach(() => world.clear());
  afterAll(() => world.close());

  it('no-agents: nobody is connected', async () => {
    expect((await world.names(await world.submit(), 'no-agents')).sentence).toContain(
      'no agent is connected',
    );
  });

  it('no-asking-agents: one is connected and has not asked yet', async () => {
    await world.live.agent();
    await world.names(await world.submit(), 'no-asking-agents');
  });

  it.each<readonly [string, Cause, string, number, string]>([
    ['memory', 'no-match', '', 64_000, 'other.MemoryMiB >= 64000, which is not true (MemoryMiB = 2000)'],
    ['operating system', 'no-match', 'other.Cpus >= 1 && other.OpSys == "PLAN9"', 64, 'OpSys = "LINUX"'],
    ['an attribute nobody states', 'no-match-undefined', 'other.HasGpu && true', 64, 'other.HasGpu'],
    ['a text compared with a number', 'no-match-error', 'other.OpSys > 3', 64, 'other.OpSys > 3'],
  ])('%s: %s', async (_what, cause, requirements, memoryMiB, words) => {
    await world.asking();
    const limits = { wallSeconds: 60, memoryMiB, diskMiB: 1 };
    const said = await world.names(await world.submit({ requirements, limits }), cause);
    expect(said.sentence).toContain(words);
  });

  it('agents-busy, running and not-renewed-yet: one agent, two jobs', async () => {
    const [first, second] = [await world.submit(), await world.submit()];
    const agent = await world.live.agent();
    const { job } = await agent.takeJob();
    const waits = job === first ? second : first;
    await world.names(job, 'not-renewed-yet');
    await renew(agent, job);
    expect((await world.names(job, 'running')).sentence).toContain('50 % done');
    await world.names(waits, 'agents-busy');
  });

  it('agent-away, then lease-lost: the agent vanished', async () => {
    await bystander();
    const job = await world.submit();
    const agent = await world.live.agent();
    await agent.takeJob();
    await renew(agent, job);
    await agent.vanish();
    await world.names(job, 'agent-away');
    expect((await world.names(job, 'lease-lost')).sentence).toContain('Attempt 1 ended: lease ran out');
  });

  it('never-renewed: the agent took the job and was not heard of', async () => {
    const job = await world.submit();
    const agent = await world.live.agent();
    await agent.takeJob();
    await world.names(job, 'never-renewed');
  });

  it.each<readonly [string, Cause]>([
    ['drain', 'released'],
    ['unable', 'agent-unable'],
  ])('released for %s: %s', async (reason, cause) => {
    const job = await world.submit();
    const agent = await world.live.agent();
    const { attempt } = await agent.takeJob();
    await agent.ask({ kind: 'release', job, attempt, reason });
    await world.names(job, cause);
  });

  it('agent-revoked: while it ran the job', async () => {
    await bystander();
    const job = await world.submit();
    const agent = await world.live.agent();
    await agent.takeJob();
    await world.revoke(agent);
    await world.names(job, 'agent-revoked');
  });

  it('agents-sent-away: revoked, with none left', async () => {
    const job = await world.submit();
    await world.revoke(await world.live.agent());
    expect((await world.names(job, 'agents-sent-away')).sentence).toContain('REVOKED');
  });

  it('agents-sent-away: quarantined, for two starts of one key took turns', async () => {
    const job = await world.submit();
    const { random } = createNodeRuntime(silentLog);
    const enrolled = world.live.identity();
    const starts = [newId(random), newId(random)];
    const flip = async (): Promise<string> => {
      for (let turn = 0; turn < 12; turn += 1) {
        try {
          await world.live.agent(enrolled, { start: starts[turn % 2]! });
        } catch (caught) {
          return String(caught);
        }
      }
      return 'welcome';
    };
    expect(await flip()).toContain('QUARANTINED');
    const said = await world.names(job, 'agents-sent-away');
    expect(said.evidence.join()).toContain(`agent ${enrolled.agent} was sent away`);
    expect(said.sentence).toContain('QUARANTINED');
  });

  it('agent-restored: the machine went back to an earlier start', async () => {
    await bystander();
    const job = await world.submit();
    const { random } = createNodeRuntime(silentLog);
    const enrolled = world.live.identity();
    const start = newId(random);
    await world.live.agent(enrolled, { start });
    await (await world.live.agent(enrolled)).takeJob();
    await world.live.agent(enrolled, { start });
    await world.names(job, 'agent-restored');
  });

  it.each<readonly [Report['exit'], Cause]>([
    [{ kind: 'exited', code: 3 }, 'payload-exit'],
    [{ kind: 'signalled', signal: 'SIGSEGV' }, 'payload-signal'],
    [{ kind: 'limit', limit: 'wall' }, 'wall-limit'],
    [{ kind: 'limit', limit: 'memory' }, 'memory-limit'],
    [{ kind: 'limit', limit: 'output' }, 'disk-limit'],
    [{ kind: 'limit', limit: 'cpu' }, 'cpu-limit'],
    [{ kind: 'failed', reason: 'the job did not start: no such file' }, 'payload-not-started'],
  ])('%j: %s', async (exit, cause) => {
    await world.names(await fails(exit), cause);
  });

  it('payload-exit, in every try: the retries are used up', async () => {
    const job = await fails({ kind: 'exited', code: 3 }, 2);
    const { sentence } = await world.names(job, 'payload-exit');
    expect(sentence).toContain('code 3 (3 tries, 2 of them retries)');
  });

  it('missing-output: the report does not name what the job declares', async () => {
    const job = await world.submit();
    const agent = await world.live.agent();
    const { attempt } = await agent.takeJob();
    await agent.ask(agent.report({ job, attempt }, []));
    expect((await world.names(job, 'missing-output')).sentence).toContain('events.dat');
  });

  it.each(['another digest', 'nothing uploaded'])('result-mismatch: %s', async (what) => {
    const job = await world.submit();
    const agent = await world.live.agent();
    const lease = await agent.takeJob();
    if (what === 'another digest') await agent.upload(lease, 'events.dat', BYTES);
    const claimed = { name: 'events.dat', size: BYTES.length, sha256: '0'.repeat(64) };
    await agent.ask(agent.report(lease, [claimed]));
    expect((await world.names(job, 'result-mismatch')).sentence).toContain('events.dat');
  });

  it('lost-too-often: each agent that had the job was taken out', async () => {
    const job = await world.submit();
    for (let losses = 0; losses < 3; losses += 1) {
      const agent = await world.live.agent();
      await agent.takeJob();
      await world.revoke(agent);
    }
    expect((await world.names(job, 'lost-too-often')).sentence).toContain(
      'lost 3 times, which is more than 2',
    );
  });

  it('cancelled: by its owner', async () => {
    const job = await world.submit();
    await world.names(job, 'agents-sent-away');
    await world.queue.cancel(job);
    await world.names(job, 'cancelled');
  });

  it('finished: and nothing is wrong', async () => {
    const job = await world.submit();
    await (await world.live.agent()).work();
    await world.names(job, 'finished');
  });

  it('storage-away: nobody is there to check the files', async () => {
    const job = await world.submit();
    const agent = await world.live.agent();
    const lease = await agent.takeJob();
    const file = await agent.upload(lease, 'events.dat', BYTES);
    await world.live.stopBridge();
    try {
      agent.raw.say({ ...agent.report(lease, [file]), slot: 1, counter: agent.count() });
      expect((await world.names(job, 'storage-away')).sentence).toContain('check the files');
    } finally {
      await world.live.startBridge();
    }
  });

  it.each<readonly [string, Cause, string]>([
    ['verify', 'storage-full', 'STORAGE_FULL'],
    ['finalise', 'storage-failing', 'INTERNAL'],
    ['verify', 'verifying', 'silent'],
    ['finalise', 'committing', 'silent'],
  ])('storage at %s: %s', async (op, cause, code) => {
    world.faults.storage = (item) => {
      if (item.op !== op) return undefined;
      return code === 'silent' ? 'silent' : { code, message: 'as ordered' };
    };
    const job = await world.submit();
    const agent = await world.live.agent();
    const lease = await agent.takeJob();
    const file = await agent.upload(lease, 'events.dat', BYTES);
    agent.raw.say({ ...agent.report(lease, [file]), slot: 1, counter: agent.count() });
    await world.names(job, cause);
  });

  it.each<readonly [Cause, string]>([
    ['job-adapter-failing', 'QUEUE_FULL'],
    ['framework-refused', 'RESULT_REFUSED'],
    ['telling', 'silent'],
  ])('the framework is told the end: %s', async (cause, code) => {
    world.faults.jobs = ({ op }) => {
      if (op !== 'finished') return undefined;
      return code === 'silent' ? 'silent' : { code, message: 'as ordered' };
    };
    const job = await world.submit();
    await (await world.live.agent()).work();
    await world.names(job, cause);
  });

  it('job-adapter-away: the result stands, and nobody is there to take it', async () => {
    const job = await world.submit();
    const agent = await world.live.agent();
    const lease = await agent.takeJob();
    const file = await agent.upload(lease, 'events.dat', BYTES);
    await world.live.stopAdapter();
    try {
      await agent.ask(agent.report(lease, [file]));
      await world.names(job, 'job-adapter-away');
    } finally {
      await world.live.startAdapter();
    }
  });

  it('job-adapter-failing: the broker cannot fetch', async () => {
    world.faults.jobs = ({ op }) =>
      op === 'fetch' ? { code: 'QUEUE_CORRUPT', message: 'as ordered' } : undefined;
    expect((await world.names(await world.submit(), 'job-adapter-failing')).sentence).toContain('as ordered');
  });

  it('description-refused: the requirements are no expression', async () => {
    const job = await world.submit({ requirements: 'other.Cpus >= ' });
    expect((await world.names(job, 'description-refused')).sentence).toContain('refused');
  });

  it('queue-not-served: the broker has no such queue', async () => {
    await world.names(await world.submit({}, { queue: 'nowhere' }), 'queue-not-served');
  });

  it('waits-to-be-fetched: enough wait at the broker', async () => {
    const jobs = [];
    for (let index = 0; index < 20; index += 1) jobs.push(await world.submit());
    await world.names(jobs.at(-1)!, 'waits-to-be-fetched');
  });

  it('unknown-job: neither side has it', async () => {
    await world.names('a'.repeat(26), 'unknown-job');
  });

  it('broker-away: nobody answers for it', async () => {
    const job = await world.submit();
    await world.live.stopBroker();
    try {
      await world.names(job, 'broker-away');
    } finally {
      await world.live.startBroker();
    }
  });
});

describe('job why, under tight limits', () => {
  const limits = { quickFailuresAllowed: 0, coolDownMs: 60_000, liveAttemptsPerAgent: 1 };
  beforeAll(async () => {
    world = await openWhyWorld({
      limits: { ...limits, liveAttemptsPerOwner: 2 },
      // Longer than a storage adapter may take to answer.
      queue: { maxLost: 9, leaseMs: 30_000, firstRenewMs: 30_000 },
    });
  });
  afterEach(() => world.clear());
  afterAll(() => world.close());

  it('agents-cooling-down: its jobs failed too fast', async () => {
    const agent = await world.live.agent();
    const first = await world.submit();
    const { attempt } = await agent.takeJob();
    const exit = { kind: 'exited', code: 1 } as const;
    const said = { job: first, attempt, exit, manifest: [] };
    await agent.ask(agent.report(said, [], { exit, signature: agent.raw.sign(said) }));
    expect((await world.names(await world.submit(), 'agents-cooling-down')).sentence).toMatch(
      /another \d+ s/,
    );
  });

  it('storage-away: nobody is there to let the agent at its files', async () => {
    const job = await world.submit();
    await world.live.stopBridge();
    try {
      await (await world.live.agent()).takeJob();
      const { sentence } = await world.names(job, 'storage-away');
      expect(sentence).toContain('let its agent at its files');
    } finally {
      await world.live.startBridge();
    }
  });

  it('agent-limit: it holds as many as one agent may', async () => {
    const agent = await world.live.agent();
    await world.submit();
    await agent.takeJob();
    await world.names(await world.submit(), 'agent-limit');
  });

  it('owner-limit: its other agents hold as many as one owner may', async () => {
    const idle = await world.asking();
    for (let others = 0; others < 2; others += 1) {
      const agent = await world.live.agent();
      const job = await world.submit({ requirements: 'isUndefined(other.MemoryMiB)' });
      expect((await agent.takeJob()).job).toBe(job);
    }
    const job = await world.submit({ requirements: 'other.MemoryMiB > 0' });
    await eventually('the refusal', () => idle.raw.heard.find(({ kind }) => kind === 'none'), 10_000);
    await world.names(job, 'owner-limit');
  });
});
