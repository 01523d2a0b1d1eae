import { expect } from '../expectation.ts';
import { type BrokerCase, core, full, robust } from './broker-case.ts';
import { SUCCESS } from './player.ts';

/** Longest wait of a parked request, and what its answer may be late. */
const PARKED_SECONDS = 75;

/** Slots, counters, repeats, and waiting for work. */
export const SLOT_CASES: readonly BrokerCase[] = [
  core('Q-01', 'answers a request when a job comes that fits', 'M-15', async (scene) => {
    const agent = await scene.agent();
    const first = await scene.job({ requirements: 'false' });
    const counter = agent.count();
    const later = scene.job();
    // The ad is known only once the job is there: a request parked for another ad is not answered by it.
    agent.say({ ...agent.request(first), slot: 2, counter: agent.count(2) });
    const job = await later;
    agent.say({ ...agent.request(job), slot: 1, counter });
    const answer = await agent.answerTo({ slot: 1, counter });
    expect(answer.kind === 'job' && answer.lease.job === job.id, 'the job that fits was not given');
    agent.holds(answer.lease);
    const others = agent.heard.items.filter((message) => message.kind === 'job');
    expect(others.length === 0, 'a job went to a host that its requirements exclude');
  }),
  core('Q-02', 'holds requirements against the host ad', 'M-18', async (scene) => {
    const agent = await scene.agent();
    const job = await scene.job();
    const counter = agent.count(2);
    agent.say({ kind: 'request', slot: 2, counter, ad: { ...job.ad, ConformanceCase: 'another' }, seen: [] });
    await agent.takeJob(job);
    expect(!agent.heard.items.some(({ kind }) => kind === 'job'), 'a host was given a job it is not fit for');
  }),
  full('Q-03', 'answers the same request with the same lease', 'M-7 M-8 L-11', async (scene) => {
    const agent = await scene.agent();
    const job = await scene.job();
    const lease = await agent.takeJob(job);
    const counter = agent.count() - 1;
    const again = await agent.askFor('job', { ...agent.request(job), counter });
    expect(
      again.lease.job === lease.job && again.lease.attempt === lease.attempt,
      'the repeat brought another lease',
    );
    expect(
      again.lease.capabilities.length === lease.capabilities.length,
      'the repeat brought other capabilities',
    );
  }),
  full('Q-04', 'answers the same release once more', 'M-8', async (scene) => {
    const agent = await scene.agent();
    const { job, attempt } = await agent.takeJob(await scene.job());
    const words = { kind: 'release', job, attempt, reason: 'drain', counter: agent.count() };
    await agent.askFor('released', words);
    await agent.askFor('released', words);
  }),
  full('Q-05', 'refuses a counter lower than the one it keeps', 'M-9', async (scene) => {
    const agent = await scene.agent();
    const job = await scene.job();
    agent.count();
    const { job: id, attempt } = await agent.takeJob(job);
    await agent.expectError('STALE_COUNTER', { ...agent.request(job), counter: agent.count() - 2 });
    await agent.expectError('STALE_COUNTER', {
      kind: 'release',
      job: id,
      attempt,
      reason: 'drain',
      counter: 1,
    });
    const report = agent.report({ job: id, attempt }, { exit: SUCCESS, manifest: [] });
    await agent.expectError('STALE_COUNTER', { ...report, counter: 1 });
  }),
  full('Q-06', 'uses no counter up for a message it refuses', 'M-10', async (scene) => {
    const agent = await scene.agent();
    const { job, attempt } = await agent.takeJob(await scene.job());
    const counter = agent.count();
    await agent.expectError('ATTEMPT_NOT_LIVE', {
      kind: 'release',
      job,
      attempt: attempt + 1,
      reason: 'drain',
      counter,
    });
    await agent.askFor('released', { kind: 'release', job, attempt, reason: 'drain', counter });
  }),
  full('Q-07', 'answers renewals whatever their counter', 'M-11', async (scene) => {
    const agent = await scene.agent();
    await agent.askFor('renewed', { kind: 'renew', leases: [], seen: [], counter: 500 });
    await agent.askFor('renewed', { kind: 'renew', leases: [], seen: [], counter: 400 });
    await agent.askFor('renewed', { kind: 'renew', leases: [], seen: [], counter: 400 });
  }),
  full('Q-08', 'says in welcome where each slot stands', 'M-12', async (scene) => {
    const member = await scene.member();
    const agent = await scene.connect(member);
    const { job, attempt } = await agent.takeJob(await scene.job(), 5);
    const counter = agent.count(5) + 17;
    await agent.askFor('released', { kind: 'release', slot: 5, counter, job, attempt, reason: 'drain' });
    const again = await scene.connect(member);
    const stands = again.welcome.slots.find(({ slot }) => slot === 5);
    expect(stands?.counter === counter, `slot 5 stands at ${stands?.counter ?? 'nothing'}, not ${counter}`);
  }),
  full('Q-09', 'gives a repeat no answer of its own while the first waits', 'M-14', async (scene) => {
    const agent = await scene.agent();
    const nothing = await scene.job({ requirements: 'false' });
    const counter = agent.count();
    for (let times = 0; times < 3; times++) agent.say({ ...agent.request(nothing), slot: 1, counter });
    await agent.expectUndisturbed();
  }),
  full(
    'Q-10',
    'lets a newer request of a slot take the place of the one that waits',
    'M-6 M-14 M-16',
    async (scene) => {
      const agent = await scene.agent();
      const older = await scene.job({ requirements: 'false' });
      const counter = agent.count();
      agent.say({ ...agent.request(older), slot: 1, counter });
      const job = await scene.job();
      const lease = await agent.takeJob(job);
      agent.say({ ...agent.request(older), slot: 1, counter });
      const answer = await agent.answerTo({ slot: 1, counter });
      expect(
        answer.kind === 'error' && answer.code === 'STALE_COUNTER',
        `the older was answered by ${answer.kind}`,
      );
      expect(lease.job === job.id, 'another job was given');
    },
  ),
  full('Q-11', 'answers renewals while a request waits', 'M-5 M-15', async (scene) => {
    const agent = await scene.agent();
    const nothing = await scene.job({ requirements: 'false' });
    agent.say({ ...agent.request(nothing), slot: 1, counter: agent.count() });
    for (let times = 0; times < 3; times++) await agent.expectUndisturbed();
  }),
  full('Q-12', 'keeps the slots of an agent apart', 'M-6 M-7', async (scene) => {
    const agent = await scene.agent();
    const [one, other] = [await scene.job(), await scene.job()];
    const first = await agent.takeJob(one, 1);
    const second = await agent.takeJob(other, 2);
    expect(first.job !== second.job, 'two slots were given one job');
    await agent.askFor('released', {
      kind: 'release',
      slot: 2,
      job: first.job,
      attempt: first.attempt,
      reason: 'drain',
    });
  }),
  robust(
    'Q-13',
    'answers a request that nothing came for with no-work, within a bounded time',
    'M-15 M-17 X-2',
    async (scene) => {
      const agent = await scene.agent();
      const nothing = await scene.job({ requirements: 'false' });
      const { none } = await agent.askFor(
        'none',
        agent.request(nothing),
        PARKED_SECONDS * 1000 * scene.stage.patience,
      );
      expect(none.reason === 'no-work', `the reason is ${none.reason}`);
    },
    { withinSeconds: PARKED_SECONDS + 15 },
  ),
];
