import type { Exit, File, Lease, Reported, Verdicts } from '../../protocol/generated/types.ts';
import { expect } from '../expectation.ts';
import { type BrokerCase, core, full, robust } from './broker-case.ts';
import { expectOrder, file, ref } from './cases-leases.ts';
import { contentOf, type Held, type Player, putFor, SUCCESS } from './player.ts';
import type { Scene } from './scene.ts';

/** Uploads what it will, and answers the manifest that is reported. */
type Uploading = (agent: Player, lease: Lease) => Promise<readonly File[]>;

/** Manifests that are not what lies in storage: one file, `events.dat`, as it was uploaded. */
const WRONG_MANIFESTS: readonly (readonly [what: string, manifest: (right: File) => readonly File[]])[] = [
  ['a file that was not uploaded', (right) => [right, file('more.dat')]],
  ['another digest', (right) => [{ ...right, sha256: '0'.repeat(64) }]],
  ['another size', (right) => [{ ...right, size: right.size + 1 }]],
  ['a file named twice', (right) => [right, right]],
  ['no file, though one is declared and uploaded', () => []],
  ['its file under another name', (right) => [{ ...right, name: 'other.dat' }]],
];

const FAILURES: readonly Exit[] = [
  { kind: 'exited', code: 1 },
  { kind: 'signalled', signal: 'SIGKILL' },
  { kind: 'limit', limit: 'wall' },
  { kind: 'failed', reason: 'the input "card.txt"\nwas not there' },
];

export const REPORT_CASES: readonly BrokerCase[] = [
  core(
    'V-01',
    'commits a result whose files are as they were reported',
    'V-1 V-2 V-5 V-7 T-13 T-14',
    async (scene) => {
      const agent = await scene.agent();
      const verdict = await agent.finish(await agent.takeJob(await scene.job()));
      expectVerdict(verdict, 'committed');
    },
  ),
  core('V-02', 'commits a result without files where none is declared', 'V-5', async (scene) => {
    const agent = await scene.agent();
    const lease = await agent.takeJob(await scene.job({ outputs: [] }));
    expectVerdict(await agent.settle(lease, { exit: SUCCESS, manifest: [] }), 'committed');
  }),
  full('V-03', 'commits a result without an optional file', 'V-5', async (scene) => {
    const agent = await scene.agent();
    const lease = await agent.takeJob(await scene.job({ outputs: [{ name: 'events.dat', optional: true }] }));
    expectVerdict(await agent.settle(lease, { exit: SUCCESS, manifest: [] }), 'committed');
  }),
  ...WRONG_MANIFESTS.map(([what, manifest], index) =>
    full(`V-1${index + 1}`, `refuses a result with ${what}`, 'V-5 T-13 T-15', (scene) =>
      expectRefusedResult(scene, async (agent, lease) => {
        const [right] = await agent.uploadAll(lease);
        expect(right !== undefined, 'the job declares no output');
        return manifest(right);
      }),
    ),
  ),
  full('V-18', 'refuses a result whose declared output is missing everywhere', 'V-5', (scene) =>
    expectRefusedResult(scene, async () => []),
  ),
  ...FAILURES.map((exit, index) =>
    full(
      `V-2${index + 1}`,
      `ends an attempt at once that ended with ${exit.kind}`,
      'V-2 V-3 V-6',
      async (scene) => {
        const agent = await scene.agent();
        const lease = await agent.takeJob(await scene.job());
        agent.isStained = true;
        const answer = await agent.askFor('reported', agent.report(lease, { exit, manifest: [] }));
        expectVerdict(answer, 'refused');
        expect(answer.reason.length > 0, 'the verdict has no reason');
        await expectOrder(agent, lease, 'cancel');
      },
    ),
  ),
  full(
    'V-31',
    'refuses a report whose signature is not of its agent, and changes nothing',
    'V-2 V-4 M-10',
    async (scene) => {
      const agent = await scene.agent();
      const lease = await agent.takeJob(await scene.job({ outputs: [] }));
      const right = agent.report(lease, { exit: SUCCESS, manifest: [] });
      const wrong = [
        { signature: 'A'.repeat(86) },
        { signature: agent.sign({ ...ref(lease), exit: SUCCESS, manifest: [file('events.dat')] }) },
        { exit: { kind: 'exited', code: 1 } },
        { manifest: [file('events.dat')] },
      ];
      for (const change of wrong) await agent.expectError('BAD_SIGNATURE', { ...right, ...change });
      await expectOrder(agent, lease, 'continue');
      expectVerdict(await agent.settle(lease, { exit: SUCCESS, manifest: [] }), 'committed');
    },
  ),
  full(
    'V-32',
    'refuses a report signed over another attempt, or by another agent',
    'V-2 V-4',
    async (scene) => {
      const [agent, other] = await scene.twoAgents();
      const lease = await agent.takeJob(await scene.job({ outputs: [] }));
      const said = { exit: SUCCESS, manifest: [] };
      const right = agent.report(lease, said);
      for (const signature of [
        agent.sign({ job: lease.job, attempt: lease.attempt + 1, ...said }),
        other.sign({ ...ref(lease), ...said }),
      ])
        await agent.expectError('BAD_SIGNATURE', { ...right, signature });
      await expectOrder(agent, lease, 'continue');
    },
  ),
  full('V-33', 'keeps a verdict pending until it is named as seen', 'V-9 V-10 V-11', async (scene) => {
    const member = await scene.member();
    const agent = await scene.connect(member);
    const lease = await agent.takeJob(await scene.job({ outputs: [] }));
    await agent.settle(lease, { exit: SUCCESS, manifest: [] });
    await expectPending(agent, lease, true);
    await expectPending(agent, lease, true);
    const again = await scene.connect(member);
    expect(names(again.welcome.verdicts, lease), 'welcome does not carry the verdict');
    await again.askFor('renewed', { kind: 'renew', leases: [], seen: [ref(lease)] });
    await expectPending(again, lease, false);
  }),
  full('V-34', 'takes what a report names as seen', 'V-10', async (scene) => {
    const agent = await scene.agent();
    const first = await agent.takeJob(await scene.job({ outputs: [] }));
    await agent.settle(first, { exit: SUCCESS, manifest: [] });
    const second = await agent.takeJob(await scene.job({ outputs: [] }));
    await agent.settle(second, { exit: SUCCESS, manifest: [] }, { seen: [ref(first)] });
    await expectPending(agent, first, false);
    await expectPending(agent, second, true);
  }),
  full('V-35', 'takes what a request names as seen', 'V-10', async (scene) => {
    const agent = await scene.agent();
    const first = await agent.takeJob(await scene.job({ outputs: [] }));
    await agent.settle(first, { exit: SUCCESS, manifest: [] });
    const job = await scene.job();
    const { lease } = await agent.askFor('job', agent.request(job, { seen: [ref(first)] }));
    agent.holds(lease);
    await expectPending(agent, first, false);
  }),
  full(
    'V-36',
    'answers a report again as far as things are, whatever it says now',
    'V-12 V-16 M-8',
    async (scene) => {
      const agent = await scene.agent();
      const lease = await agent.takeJob(await scene.job({ outputs: [] }));
      const counter = agent.count();
      await agent.askFor('reported', { ...agent.report(lease, { exit: SUCCESS, manifest: [] }), counter });
      await agent.awaitVerdict(lease);
      const repeated = await agent.askFor('reported', {
        ...agent.report(lease, { exit: SUCCESS, manifest: [] }),
        counter,
      });
      expectVerdict(repeated, 'committed');
      const other = agent.report(lease, { exit: { kind: 'exited', code: 1 }, manifest: [] });
      expectVerdict(await agent.askFor('reported', other), 'committed');
    },
  ),
  full('V-37', 'lets nothing change a committed result', 'V-16 L-5', async (scene) => {
    const agent = await scene.agent();
    const lease = await agent.takeJob(await scene.job());
    expectVerdict(await agent.finish(lease), 'committed');
    await agent.expectError('ATTEMPT_NOT_LIVE', { kind: 'release', ...ref(lease), reason: 'lost' });
    await expectOrder(agent, lease, 'cancel');
    await agent.expectError('ATTEMPT_NOT_LIVE', {
      kind: 'outputs',
      ...ref(lease),
      verb: 'put',
      files: [file('events.dat')],
    });
    const late = await agent.askFor('reported', agent.report(lease, { exit: SUCCESS, manifest: [] }));
    expectVerdict(late, 'committed');
  }),
  full('V-38', 'takes no upload of a committed attempt any more', 'C-18 V-16', async (scene) => {
    const agent = await scene.agent();
    const lease = await agent.takeJob(await scene.job());
    expectVerdict(await agent.finish(lease), 'committed');
    const late = await agent.storage.put(putFor(lease.capabilities, 'events.dat'), contentOf(lease, 'late'));
    expect(late.status >= 400, `a late upload was answered ${late.status}`);
  }),
  full('V-41', 'gives the next job with the answer to a report', 'V-13', async (scene) => {
    const agent = await scene.agent();
    const lease = await agent.takeJob(await scene.job({ outputs: [] }));
    const job = await scene.jobInReach(agent);
    const reported = await agent.settle(lease, { exit: SUCCESS, manifest: [] }, { next: job.ad });
    const { next } = reported;
    expect(next !== undefined && 'job' in next && next.job === job.id, 'the answer has no lease in next');
    agent.holds(next);
    await expectOrder(agent, next, 'continue');
  }),
  full('V-42', 'says why there is no next job', 'V-13', async (scene) => {
    const agent = await scene.agent();
    const lease = await agent.takeJob(await scene.job({ outputs: [] }));
    const nothing = await scene.job({ requirements: 'false' });
    const { next } = await agent.settle(lease, { exit: SUCCESS, manifest: [] }, { next: nothing.ad });
    expect(next !== undefined && 'reason' in next, 'the answer does not say why there is no job');
  }),
  full('V-43', 'brings the same next lease with a repeat of the report', 'V-14 M-8 L-11', async (scene) => {
    const agent = await scene.agent();
    const lease = await agent.takeJob(await scene.job({ outputs: [] }));
    const job = await scene.jobInReach(agent);
    const words = {
      ...agent.report(lease, { exit: SUCCESS, manifest: [] }, { next: job.ad }),
      counter: agent.count(),
    };
    const [first, second] = [await agent.askFor('reported', words), await agent.askFor('reported', words)];
    const attempts = [first, second].map(({ next }) =>
      next !== undefined && 'job' in next ? `${next.job} ${next.attempt}` : 'none',
    );
    expect(attempts[0] !== 'none' && attempts[0] === attempts[1], `the leases are ${attempts.join(' and ')}`);
  }),
  full('V-44', 'gives no next job with a report that it refuses', 'V-15', async (scene) => {
    const agent = await scene.agent();
    const lease = await agent.takeJob(await scene.job({ outputs: [] }));
    const job = await scene.jobInReach(agent);
    const wrong = { signature: 'A'.repeat(86), next: job.ad };
    await agent.expectError('BAD_SIGNATURE', agent.report(lease, { exit: SUCCESS, manifest: [] }, wrong));
    const unheld = { job: lease.job, attempt: lease.attempt + 1 };
    await agent.expectError(
      'ATTEMPT_NOT_LIVE',
      agent.report(unheld, { exit: SUCCESS, manifest: [] }, { next: job.ad }),
    );
    // The job is still there for who asks rightly.
    await agent.takeJob(job, 2);
  }),
  robust(
    'V-45',
    'may bring with a repeat the lease that the first answer had not, and loses none',
    'V-17',
    async (scene) => {
      const agent = await scene.agent();
      const lease = await agent.takeJob(await scene.job({ outputs: [] }));
      const other = await scene.job({ requirements: 'false' });
      const words = {
        ...agent.report(lease, { exit: SUCCESS, manifest: [] }, { next: other.ad }),
        counter: agent.count(),
      };
      await agent.askFor('reported', words);
      const job = await scene.jobInReach(agent);
      const repeat = await agent.askFor('reported', { ...words, next: job.ad });
      if (repeat.next !== undefined && 'job' in repeat.next) agent.holds(repeat.next);
      else await agent.takeJob(job);
    },
  ),
  full(
    'V-46',
    'leases a job again whose result it refused, while there are retries',
    'V-6 L-1',
    async (scene) => {
      const agent = await scene.agent();
      const job = await scene.job({ outputs: [], retries: 2 });
      const lease = await agent.takeJob(job);
      agent.isStained = true;
      await agent.settle(lease, { exit: { kind: 'exited', code: 3 }, manifest: [] });
      const again = await agent.takeJob(job);
      expect(again.attempt > lease.attempt, 'the attempt number did not rise');
      expectVerdict(await agent.settle(again, { exit: SUCCESS, manifest: [] }), 'committed');
    },
  ),
];

function expectVerdict({ verdict, reason }: Reported, wanted: Reported['verdict']): void {
  expect(verdict === wanted, `the verdict is ${verdict} (${reason}), not ${wanted}`);
}

async function expectRefusedResult(scene: Scene, upload: Uploading): Promise<void> {
  const agent = await scene.agent();
  const lease = await agent.takeJob(await scene.job());
  const manifest = await upload(agent, lease);
  agent.isStained = true;
  const verdict = await agent.settle(lease, { exit: SUCCESS, manifest });
  expectVerdict(verdict, 'refused');
  expect(verdict.reason.length > 0, 'the verdict has no reason');
}

async function expectPending(agent: Player, held: Held, isPending: boolean): Promise<void> {
  const { verdicts } = await agent.askFor('renewed', { kind: 'renew', leases: [], seen: [] });
  expect(
    names(verdicts, held) === isPending,
    `the verdict is ${isPending ? 'not pending any more' : 'still pending'}`,
  );
}

function names(verdicts: Verdicts, { job, attempt }: Held): boolean {
  return verdicts.some((entry) => entry.job === job && entry.attempt === attempt);
}
