import { ENROLMENT_PATHS } from '../../protocol/enrolment.ts';
import { expect } from '../expectation.ts';
import { codeOf } from '../peer/http.ts';
import { type BrokerCase, core, full, robust } from './broker-case.ts';
import { expectOrder, file, ref } from './cases-leases.ts';
import { askChallenge, post, proofOf } from './membership.ts';
import { type Held, type Player, SUCCESS, type Words } from './player.ts';
import type { Scene } from './scene.ts';

/** Superseded starts that a broker remembers. */
const REMEMBERED = 8;

/** Everything an agent can say of an attempt, once its start was superseded. */
const LATE_WORDS: readonly (readonly [what: string, words: (agent: Player, held: Held) => Words])[] = [
  ['request', () => ({ kind: 'request', slot: 2, ad: { ConformanceCase: 'none' }, seen: [] })],
  ['renewal', (_agent, held) => ({ kind: 'renew', leases: [{ ...held, progress: 0.5 }], seen: [] })],
  ['renewal without leases', () => ({ kind: 'renew', leases: [], seen: [] })],
  ['report', (agent, held) => agent.report(held, { exit: SUCCESS, manifest: [] })],
  ['release', (_agent, held) => ({ kind: 'release', ...held, reason: 'drain' })],
  [
    'request for capabilities',
    (_agent, held) => ({ kind: 'outputs', ...held, verb: 'put', files: [file('events.dat')] }),
  ],
];

export const START_CASES: readonly BrokerCase[] = [
  core('W-01', 'names in welcome what a new start holds', 'W-1 W-2 W-4', async (scene) => {
    const member = await scene.member();
    const older = await scene.connect(member);
    const lease = await older.takeJob(await scene.job());
    const newer = await scene.connect(member);
    const held = newer.welcome.held.map(({ job, attempt }) => `${job} ${attempt}`);
    expect(held.join() === `${lease.job} ${lease.attempt}`, `welcome names ${held.join(', ') || 'nothing'}`);
    await expectOrder(newer, lease, 'continue');
  }),
  core('W-02', 'takes back what a new start has lost', 'W-4 L-10', async (scene) => {
    const member = await scene.member();
    const older = await scene.connect(member);
    const job = await scene.job();
    const lease = await older.takeJob(job);
    const newer = await scene.connect(member);
    await newer.askFor('released', { kind: 'release', ...ref(lease), reason: 'lost' });
    const again = await newer.takeJob(job);
    expect(again.attempt > lease.attempt, 'the attempt number did not rise');
  }),
  ...LATE_WORDS.map(([what, wordsOf], index) =>
    full(
      `W-1${index + 1}`,
      `answers a ${what} of an earlier start with SUPERSEDED, and changes nothing`,
      'W-2 W-3 M-21',
      async (scene) => {
        const member = await scene.member();
        const older = await scene.connect(member);
        const lease = await older.takeJob(await scene.job({ outputs: [] }));
        const newer = await scene.connect(member);
        const answer = await older.ask(wordsOf(older, ref(lease)));
        const said = answer.kind === 'farewell' ? answer.code : answer.kind;
        expect(said === 'SUPERSEDED', `it was answered ${said}`);
        await newer.expectUndisturbed();
        await expectOrder(newer, lease, 'continue');
      },
    ),
  ),
  full('W-21', 'lets nothing an earlier start left waiting stand in the way', 'W-3', async (scene) => {
    const member = await scene.member();
    const older = await scene.connect(member);
    const nothing = await scene.job({ requirements: 'false' });
    older.say({ ...older.request(nothing), slot: 1, counter: older.count() + 30 });
    await older.expectUndisturbed();
    const newer = await scene.connect(member);
    const job = await scene.job();
    const { lease } = await newer.askFor('job', newer.request(job));
    newer.holds(lease);
    expect(lease.job === job.id, 'another job was given');
  }),
  full('W-22', 'takes what a superseded start names as seen for nothing', 'W-2 V-10', async (scene) => {
    const member = await scene.member();
    const older = await scene.connect(member);
    const lease = await older.takeJob(await scene.job({ outputs: [] }));
    await older.settle(lease, { exit: SUCCESS, manifest: [] });
    const newer = await scene.connect(member);
    await older.ask({ kind: 'renew', leases: [], seen: [ref(lease)] });
    const { verdicts } = await newer.askFor('renewed', { kind: 'renew', leases: [], seen: [] });
    expect(
      verdicts.some(({ job }) => job === lease.job),
      'the verdict is not pending any more',
    );
  }),
  full('W-23', 'voids what is not reported where an earlier start comes back', 'W-5', async (scene) => {
    const member = await scene.member();
    const older = await scene.connect(member);
    const lease = await older.takeJob(await scene.job());
    await scene.connect(member);
    const back = await scene.connect(member, { start: older.start });
    expect(back.welcome.held.length === 0, 'welcome names attempts of a restored snapshot');
    await expectOrder(back, lease, 'cancel');
    await back.expectError('ATTEMPT_NOT_LIVE', back.report(lease, { exit: SUCCESS, manifest: [] }));
  }),
  full(
    'W-24',
    `takes a start that was superseded more than ${REMEMBERED} starts ago for a new one`,
    'W-7',
    async (scene) => {
      const member = await scene.member();
      const first = await scene.connect(member);
      const lease = await first.takeJob(await scene.job());
      for (let starts = 0; starts <= REMEMBERED; starts++) await scene.connect(member);
      const back = await scene.connect(member, { start: first.start });
      const held = back.welcome.held.some(
        ({ job, attempt }) => job === lease.job && attempt === lease.attempt,
      );
      expect(held, 'it was taken for a restored snapshot');
    },
  ),
  full(
    'W-31',
    'quarantines a key whose start comes back for the fourth time within an hour',
    'W-6 M-21',
    async (scene) => {
      const member = await scene.member();
      scene.spend(member);
      const [one, other] = [scene.newStart(), scene.newStart()];
      await scene.connect(member, { start: one });
      // W-23 may have had this agent: each case that restores a snapshot counts.
      for (let times = 0; times < 5; times++) {
        const back = await scene.join(member, { start: times % 2 === 0 ? other : one });
        const first = await back.heard.take(() => true, scene.answerMs, scene.signal);
        if (first?.kind !== 'farewell') continue;
        expect(first.code === 'QUARANTINED', `the last word is ${first.code}`);
        expect(times >= 1, 'the first start that was never superseded is quarantined');
        const again = await scene.join(member);
        const { code } = await again.hear('farewell');
        expect(code === 'QUARANTINED', `a new start is told ${code}`);
        return;
      }
      expect(false, 'two programs with one key are served on and on');
    },
    { turn: 'last' },
  ),
  full(
    'W-32',
    'ends everything of a revoked agent, and tells it so',
    'W-8 M-21 E-11 E-12',
    async (scene) => {
      const member = await scene.member();
      scene.spend(member);
      const agent = await scene.connect(member);
      const job = await scene.job();
      await agent.takeJob(job);
      await scene.subject.revoke?.(agent.id, scene.signal);
      const { code } = await agent.hear('farewell');
      expect(code === 'REVOKED', `the last word is ${code}`);
      const again = await scene.join(member);
      const last = await again.hear('farewell');
      expect(last.code === 'REVOKED', `a new start is told ${last.code}`);
      await expectNotRenewed(scene, agent);
    },
    { turn: 'last', needs: ['revoke'] },
  ),
  robust('W-33', 'welcomes one start as often as it comes', 'W-1 S-25', async (scene) => {
    const member = await scene.member();
    const agent = await scene.connect(member);
    const lease = await agent.takeJob(await scene.job());
    for (let times = 0; times < 6; times++) {
      const again = await scene.connect(member, { start: agent.start });
      await expectOrder(again, lease, 'continue');
    }
  }),
];

async function expectNotRenewed(scene: Scene, { member }: Player): Promise<void> {
  const { crypto } = scene.runtime;
  const challenge = await askChallenge(member.code.url, scene.signal);
  const proof = proofOf(crypto, 'renew', challenge, member);
  const body = { identity: member.identity, challenge: challenge.challenge, proof };
  const answer = await post(member.code.url + ENROLMENT_PATHS.renew, body, scene.signal);
  expect(
    answer.status === 403 && codeOf(answer) === 'REVOKED',
    `its renewal was answered ${answer.status} ${codeOf(answer)}`,
  );
}
