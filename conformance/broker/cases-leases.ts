import type { Lease } from '../../protocol/generated/types.ts';
import { expect } from '../expectation.ts';
import { sha256Of } from '../peer/key-holder.ts';
import { type BrokerCase, core, full, robust } from './broker-case.ts';
import { getFor, type Held, type Player, putFor, SUCCESS } from './player.ts';
import type { Scene } from './scene.ts';

/** Longest lease the suite waits for: longer ones would make it a day's work. */
const MAX_LEASE_SECONDS = 3;
/** What a broker may need to notice that a lease ran out. */
const NOTICE_SECONDS = 6;
const NOBODYS: Held = { job: 'a'.repeat(26), attempt: 1 };

export const LEASE_CASES: readonly BrokerCase[] = [
  core('L-01', 'leases a job as it was submitted', 'L-1 C-2', async (scene) => {
    const agent = await scene.agent();
    const wish = { command: 'generate', arguments: ['--seed', '7'], environment: { SEED: '7' } };
    const lease = await agent.takeJob(await scene.job({ ...wish, inputs: { 'card.txt': 'a card\n' } }));
    const { command, arguments: words, environment, inputs } = lease.description;
    expect(command === 'generate' && words.join(' ') === '--seed 7', 'the command is another');
    expect(environment['SEED'] === '7', 'the environment is another');
    expect(inputs.length === 1 && inputs[0]?.name === 'card.txt', 'the inputs are others');
    getFor(lease.capabilities, 'card.txt');
    putFor(lease.capabilities, 'events.dat');
  }),
  core('L-02', 'numbers the attempts of a job upwards', 'L-1 L-10', async (scene) => {
    const agent = await scene.agent();
    const job = await scene.job();
    const first = await agent.takeJob(job);
    await agent.askFor('released', { kind: 'release', ...ref(first), reason: 'drain' });
    const second = await agent.takeJob(job);
    expect(second.attempt > first.attempt, `attempt ${second.attempt} came after ${first.attempt}`);
  }),
  core('L-03', 'prolongs a lease with every renewal', 'L-3 L-6', async (scene) => {
    const agent = await scene.agent();
    const lease = await takeShort(scene, agent);
    for (let times = 0; times < 5; times++) {
      await scene.wait(lease.firstRenewSeconds / 3);
      await expectOrder(agent, lease, 'continue');
    }
  }),
  full('L-04', 'voids an attempt that is not renewed in time at its beginning', 'L-2 L-4', async (scene) => {
    const agent = await scene.agent();
    const lease = await takeShort(scene, agent);
    agent.isStained = true;
    await scene.wait(lease.firstRenewSeconds + 0.2);
    await expectGone(agent, lease);
  }),
  full('L-05', 'voids an attempt whose renewals end', 'L-4', async (scene) => {
    const agent = await scene.agent();
    const lease = await takeShort(scene, agent);
    await expectOrder(agent, lease, 'continue');
    await scene.wait(lease.leaseSeconds + 0.2);
    await expectGone(agent, lease);
  }),
  full('L-06', 'leases a job again that was not renewed', 'L-1 L-2 L-4', async (scene) => {
    const agent = await scene.agent();
    const job = await scene.job();
    const lease = await takeShort(scene, agent, job);
    agent.isStained = true;
    await scene.wait(lease.firstRenewSeconds + NOTICE_SECONDS);
    const again = await agent.takeJob(job);
    expect(again.attempt > lease.attempt, 'the attempt number did not rise');
    await expectOrder(agent, lease, 'cancel');
    await agent.expectError('ATTEMPT_NOT_LIVE', agent.report(lease, { exit: SUCCESS, manifest: [] }));
    await expectOrder(agent, again, 'continue');
  }),
  full('L-07', "tells another agent's attempt apart from none by nothing", 'L-5', async (scene) => {
    const [holder, other] = await scene.twoAgents();
    const lease = await holder.takeJob(await scene.job());
    for (const held of [ref(lease), NOBODYS]) {
      await expectOrder(other, held, 'cancel');
      await other.expectError('ATTEMPT_NOT_LIVE', { kind: 'release', ...held, reason: 'lost' });
      await other.expectError('ATTEMPT_NOT_LIVE', other.report(held, { exit: SUCCESS, manifest: [] }));
      await other.expectError('ATTEMPT_NOT_LIVE', {
        kind: 'outputs',
        ...held,
        verb: 'put',
        files: [file('events.dat')],
      });
    }
    await expectOrder(holder, lease, 'continue');
  }),
  full('L-08', 'refuses every other attempt number of its own job', 'L-1 L-5', async (scene) => {
    const agent = await scene.agent();
    const lease = await agent.takeJob(await scene.job());
    const wrong = { job: lease.job, attempt: lease.attempt + 1 };
    await expectOrder(agent, wrong, 'cancel');
    await agent.expectError('ATTEMPT_NOT_LIVE', { kind: 'release', ...wrong, reason: 'drain' });
    await agent.expectError('ATTEMPT_NOT_LIVE', agent.report(wrong, { exit: SUCCESS, manifest: [] }));
    await expectOrder(agent, lease, 'continue');
  }),
  full('L-09', 'answers for every lease of one renewal', 'L-6', async (scene) => {
    const agent = await scene.agent();
    const [one, other] = [
      await agent.takeJob(await scene.job(), 1),
      await agent.takeJob(await scene.job(), 2),
    ];
    const leases = [one, NOBODYS, other].map((held) => ({ ...ref(held), progress: 0.5 }));
    const { leases: orders } = await agent.askFor('renewed', { kind: 'renew', leases, seen: [] });
    const said = orders.map(({ order }) => order).join(' ');
    expect(said === 'continue cancel continue', `the orders are ${said}`);
    const named = orders.every((order, index) => order.job === leases[index]?.job);
    expect(named, 'the orders are for other leases');
  }),
  full('L-10', 'takes usage and the end of the log with a renewal', 'L-6', async (scene) => {
    const agent = await scene.agent();
    const lease = await agent.takeJob(await scene.job());
    const usage = { wallSeconds: 1, cpuSeconds: 0.5, memoryMiB: 10, diskMiB: 1 };
    const leases = [{ ...ref(lease), progress: 1, usage, logTail: 'the end\n' }];
    const { leases: orders } = await agent.askFor('renewed', { kind: 'renew', leases, seen: [] });
    expect(orders[0]?.order === 'continue', 'the lease was not prolonged');
  }),
  ...(['drain', 'lost', 'unable', 'shutdown'] as const).map((reason, index) =>
    full(
      `L-1${index + 1}`,
      `takes a release because of ${reason} and leases the job again`,
      'L-10',
      async (scene) => {
        const agent = await scene.agent();
        const job = await scene.job();
        const lease = await agent.takeJob(job);
        const released = await agent.askFor('released', { kind: 'release', ...ref(lease), reason });
        expect(
          released.job === lease.job && released.attempt === lease.attempt,
          'another attempt was released',
        );
        await expectOrder(agent, lease, 'cancel');
        await agent.takeJob(job);
      },
    ),
  ),
  full('L-15', 'refuses a second release of one attempt', 'L-10 L-5', async (scene) => {
    const agent = await scene.agent();
    const lease = await agent.takeJob(await scene.job());
    await agent.askFor('released', { kind: 'release', ...ref(lease), reason: 'drain' });
    await agent.expectError('ATTEMPT_NOT_LIVE', { kind: 'release', ...ref(lease), reason: 'drain' });
  }),
  full(
    'L-16',
    'tells the holder at once that its job was cancelled, and orders it to stop',
    'L-9 M-20 T-17',
    async (scene) => {
      const agent = await scene.agent();
      const job = await scene.job();
      const lease = await agent.takeJob(job);
      await expectOrder(agent, lease, 'continue');
      await scene.cancel(job);
      const { command } = await agent.hear('notice');
      expect(command === 'renew-now', `the notice is ${command}`);
      await expectOrder(agent, lease, 'cancel');
    },
    { needs: ['cancel'] },
  ),
  full('L-17', 'gives fresh capabilities for the inputs of a live attempt', 'L-13', async (scene) => {
    const agent = await scene.agent();
    const lease = await agent.takeJob(await scene.job({ inputs: { 'card.txt': 'a card\n' } }));
    const [input] = lease.description.inputs;
    expect(input !== undefined, 'the lease has no inputs');
    const files = [{ name: input.name, size: input.size, sha256: input.sha256 }];
    const { capabilities } = await agent.askFor('capabilities', {
      kind: 'outputs',
      ...ref(lease),
      verb: 'get',
      files,
    });
    const answer = await agent.storage.get(getFor(capabilities, 'card.txt'));
    expect(answer.status === 200, `the input was answered ${answer.status}`);
    expect(Buffer.from(answer.body).toString() === 'a card\n', 'the input has other bytes');
  }),
  full('L-18', 'pins a capability for an undeclared output to its digest', 'L-13', async (scene) => {
    const agent = await scene.agent();
    const lease = await agent.takeJob(await scene.job());
    const bytes = new TextEncoder().encode('a plot\n');
    const files = [{ name: 'plots/mass.txt', size: bytes.length, sha256: sha256Of(bytes) }];
    const { capabilities } = await agent.askFor('capabilities', {
      kind: 'outputs',
      ...ref(lease),
      verb: 'put',
      files,
    });
    const capability = putFor(capabilities, 'plots/mass.txt');
    const other = await agent.storage.put(capability, new TextEncoder().encode('other!\n'));
    expect(other.status === 422, `other bytes were answered ${other.status}`);
    await agent.storage.upload(capability, bytes);
  }),
  full('L-19', 'gives no capabilities for an attempt that was given back', 'L-5 L-13', async (scene) => {
    const agent = await scene.agent();
    const lease = await agent.takeJob(await scene.job());
    await agent.askFor('released', { kind: 'release', ...ref(lease), reason: 'drain' });
    await agent.expectError('ATTEMPT_NOT_LIVE', {
      kind: 'outputs',
      ...ref(lease),
      verb: 'put',
      files: [file('events.dat')],
    });
  }),
  full('L-20', 'gives no capability for an input that the job does not have', 'L-13 C-1', async (scene) => {
    const agent = await scene.agent();
    const lease = await agent.takeJob(await scene.job());
    const answer = await agent.ask({
      kind: 'outputs',
      ...ref(lease),
      verb: 'get',
      files: [file('secret.txt')],
    });
    const given = answer.kind === 'capabilities' && answer.capabilities.length > 0;
    expect(!given, 'an input of nobody was granted');
  }),
  full(
    'L-21',
    'keeps live leases over a restart',
    'L-8 S-20 E-4',
    async (scene) => {
      // All three, so that no other case is cut short.
      const [member, ...others] = await scene.members(3);
      expect(member !== undefined, 'there is no agent to borrow');
      const agent = await scene.connect(member);
      const lease = await agent.takeJob(await scene.job());
      await expectOrder(agent, lease, 'continue');
      await agent.line.close();
      await scene.subject.restart?.(scene.signal);
      const back = await scene.connect(member, { start: agent.start });
      const held = back.welcome.held.some(
        ({ job, attempt }) => job === lease.job && attempt === lease.attempt,
      );
      expect(held, 'welcome does not name the lease any more');
      await expectOrder(back, lease, 'continue');
      for (const other of others) await scene.connect(other);
    },
    { needs: ['restart'], turn: 'alone', withinSeconds: 60 },
  ),
  robust(
    'L-23',
    'leases nothing more to an agent with 64 attempts and unseen verdicts',
    'L-14 M-17 X-2',
    async (scene) => {
      const agent = await scene.agent();
      for (let taken = 0; taken <= 64; taken++) {
        const job = await scene.job({ outputs: [] });
        const answer = await agent.ask(agent.request(job), 3 * scene.answerMs);
        if (answer.kind === 'none') {
          expect(answer.none.reason === 'too-many-attempts', `the reason is ${answer.none.reason}`);
          return;
        }
        expect(answer.kind === 'job', `a request was answered ${answer.kind}`);
        await agent.askFor('reported', agent.report(answer.lease, { exit: SUCCESS, manifest: [] }));
      }
      expect(false, 'it was leased a 65th');
    },
    { withinSeconds: 180 },
  ),
  robust(
    'L-22',
    'gives no work for a while to an agent whose jobs fail within seconds',
    'L-15 M-17',
    async (scene) => {
      const agent = await scene.agent();
      scene.spend(agent.member);
      for (let failures = 0; failures < 8; failures++) {
        const job = await scene.job({ retries: 0 });
        const answer = await agent.ask(agent.request(job));
        if (answer.kind === 'none') {
          expect(answer.none.reason === 'cooling-down', `the reason is ${answer.none.reason}`);
          expect(answer.none.retryAfterSeconds > 0, 'there is no wait');
          return;
        }
        expect(answer.kind === 'job', `a request was answered ${answer.kind}`);
        await agent.settle(answer.lease, { exit: { kind: 'exited', code: 1 }, manifest: [] });
      }
      expect(false, 'eight jobs failed within seconds, and the ninth is given all the same');
    },
    { turn: 'last' },
  ),
];

export function ref({ job, attempt }: Held): Held {
  return { job, attempt };
}

/** The order of one renewal. */
export async function expectOrder(agent: Player, held: Held, order: 'continue' | 'cancel'): Promise<void> {
  const leases = [{ ...ref(held), progress: 0.5 }];
  const renewed = await agent.askFor('renewed', { kind: 'renew', leases, seen: [] });
  // A lease that is not named is to be treated as cancelled.
  const said =
    renewed.leases.find(({ job, attempt }) => job === held.job && attempt === held.attempt)?.order ??
    'cancel';
  expect(said === order, `attempt ${held.attempt} was ordered to ${said}, not ${order}`);
}

async function takeShort(
  scene: Scene,
  agent: Player,
  job?: Awaited<ReturnType<Scene['job']>>,
): Promise<Lease> {
  const lease = await agent.takeJob(job ?? (await scene.job()));
  const longest = Math.max(lease.leaseSeconds, lease.firstRenewSeconds);
  expect(
    longest <= MAX_LEASE_SECONDS,
    `the queue's leases run ${longest} s; the suite needs ${MAX_LEASE_SECONDS} s or less`,
  );
  return lease;
}

/** Everything about a void attempt is refused. */
async function expectGone(agent: Player, lease: Held): Promise<void> {
  await agent.expectError('ATTEMPT_NOT_LIVE', agent.report(lease, { exit: SUCCESS, manifest: [] }));
  await agent.expectError('ATTEMPT_NOT_LIVE', { kind: 'release', ...ref(lease), reason: 'drain' });
  await agent.expectError('ATTEMPT_NOT_LIVE', {
    kind: 'outputs',
    ...ref(lease),
    verb: 'put',
    files: [file('events.dat')],
  });
  await expectOrder(agent, lease, 'cancel');
}

export function file(name: string) {
  return { name, size: 1, sha256: sha256Of(new Uint8Array(1)) };
}
