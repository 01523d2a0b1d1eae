import { bytesOf } from '../../protocol/encoding.ts';
import { PROTOCOL_VERSION } from '../../protocol/messages.ts';
import { encodeFrame, encodeMessage, type Header, sameBytes } from '../../protocol/session/header.ts';
import { expect } from '../expectation.ts';
import { type BrokerCase, core, full, robust } from './broker-case.ts';
import { askAnswer, beginHandshake } from './handshake.ts';
import type { Line } from './line.ts';
import type { Membership } from './membership.ts';
import type { Scene } from './scene.ts';

/** Handshakes that are right, repeated, or too many. */
export const HANDSHAKE_CASES: readonly BrokerCase[] = [
  core(
    'S-01',
    'opens a session and begins it with welcome',
    'S-1 S-2 S-4 S-5 S-8 S-9 S-26 M-4',
    async (scene) => {
      const agent = await scene.agent();
      expect(agent.welcome.agent === agent.id, 'welcome names another agent than the identity');
    },
  ),
  core(
    'S-02',
    'shows a certificate of the certifier for its own key and address',
    'S-5 E-13 E-14',
    async (scene) => {
      const member = await scene.member();
      const { certificate, hello } = await answerTo(scene, member, await scene.line(member));
      expect(certificate.address.length > 0, 'the certificate has no address');
      const [head = ''] = hello.certificate.split('.');
      const header = Buffer.from(head, 'base64url').toString('utf8');
      expect(
        header === '{"alg":"EdDSA","typ":"copilot-certificate"}',
        `the certificate's header is ${header}`,
      );
    },
  ),
  core('S-03', `offers version ${PROTOCOL_VERSION}, and at most two versions`, 'S-27', async (scene) => {
    const member = await scene.member();
    const { hello } = await answerTo(scene, member, await scene.line(member));
    expect(hello.versions.length <= 2, `it offers ${hello.versions.join(', ')}`);
  }),
  core('S-04', 'serves as many slots as it says', 'S-28 M-5', async (scene) => {
    const agent = await scene.agent();
    const slot = Math.min(63, agent.brokerHello.maxSlots);
    const job = await scene.job();
    const lease = await agent.takeJob(job, slot);
    await agent.askFor('released', {
      kind: 'release',
      slot,
      job: lease.job,
      attempt: lease.attempt,
      reason: 'drain',
    });
  }),
  core('S-05', 'answers a confirmation with one', 'F-3 F-6', async (scene) => {
    const agent = await scene.agent();
    const before = agent.confirmations;
    agent.send(agent.channel.confirmation());
    await agent.expectUndisturbed();
    expect(agent.confirmations === before + 1, 'the confirmation was not answered');
  }),
  full('S-06', 'answers the same message 1 with the same message 2', 'S-12', async (scene) => {
    const member = await scene.member();
    const line = await scene.line(member);
    const begun = beginHandshake({ runtime: scene.runtime, member, start: scene.newStart() });
    line.send(begun.frame);
    line.send(begun.frame);
    const [one, other] = [await nextAnswer(scene, line), await nextAnswer(scene, line)];
    expect(sameBytes(one.body, other.body), 'the second message 2 is another');
  }),
  full(
    'S-07',
    'opens no second session for a repeated message 3, and confirms it',
    'S-11 S-14',
    async (scene) => {
      const member = await scene.member();
      const line = await scene.line(member);
      const agent = await scene.join(member, { line });
      await agent.greet();
      const again = await scene.connect(member, { line, start: agent.start });
      await again.expectUndisturbed();
    },
  ),
  full('S-08', 'confirms a message 3 that comes again before any frame', 'S-14', async (scene) => {
    const member = await scene.member();
    const line = await scene.line(member);
    const answered = await answerTo(scene, member, line);
    line.send(answered.proof);
    const take = () => line.frames.take(({ kind }) => kind === 'frame', scene.answerMs, scene.signal);
    const first = await take();
    expect(first !== undefined, 'message 3 was not confirmed');
    // The welcome may come before the second confirmation or after it.
    let opened = answered.channel.open(first);
    let welcomes = Number(opened?.[0] === 1);
    line.send(answered.proof);
    do {
      const next = await take();
      expect(next !== undefined, 'the repeated message 3 was not confirmed');
      opened = answered.channel.open(next);
      welcomes += Number(opened?.[0] === 1);
    } while (opened?.[0] !== 0);
    for (const frame of line.frames.items) welcomes += Number(answered.channel.open(frame)?.[0] === 1);
    expect(welcomes <= 1, 'the repeated message 3 was welcomed once more');
  }),
  full('S-09', 'keeps what an agent says before welcome', 'S-26', async (scene) => {
    const agent = await scene.join(await scene.member());
    agent.say({ kind: 'renew', slot: 0, counter: 1000, leases: [], seen: [] });
    await agent.greet();
    await agent.answerTo({ slot: 0, counter: 1000 });
  }),
  full(
    'S-10',
    'lets a newer session of one start take over on its connection, and still hears the older',
    'S-18 S-25',
    async (scene) => {
      const member = await scene.member();
      const older = await scene.connect(member);
      const newer = await scene.connect(member, { line: older.line, start: older.start });
      await newer.expectUndisturbed();
      await older.expectUndisturbed();
    },
  ),
  full('S-11', 'serves sessions of one start on two connections', 'S-25', async (scene) => {
    const member = await scene.member();
    const one = await scene.connect(member);
    const other = await scene.connect(member, { start: one.start });
    await one.expectUndisturbed();
    await other.expectUndisturbed();
  }),
  full('S-12', 'hints that it does not know the session of a frame', 'S-22 H-3', async (scene) => {
    const member = await scene.member();
    const line = await scene.line(member);
    const unknown = scene.runtime.random.bytes(8);
    line.send(encodeFrame(unknown, 0, scene.runtime.random.bytes(40)));
    await expectHint(scene, line, unknown);
  }),
  full('S-13', 'hints that it does not know the session of a message 3', 'S-22', async (scene) => {
    const member = await scene.member();
    const line = await scene.line(member);
    const unknown = scene.runtime.random.bytes(8);
    line.send(encodeMessage('proof', unknown, scene.runtime.random.bytes(200)));
    await expectHint(scene, line, unknown);
  }),
  robust('S-14', 'hints to one address five times at once, and no more', 'S-22 X-2', async (scene) => {
    const member = await scene.member();
    const line = await scene.line(member);
    const agent = await scene.connect(member, { line });
    for (let times = 0; times < 12; times++)
      line.send(encodeFrame(scene.runtime.random.bytes(8), times, scene.runtime.random.bytes(40)));
    await agent.expectUndisturbed();
    const hints = line.frames.items.filter(({ kind }) => kind === 'unknownSession').length;
    expect(hints > 0 && hints <= 6, `12 frames of unknown sessions brought ${hints} hints`);
  }),
  robust('S-15', 'answers five handshakes of one address at once, and no more', 'S-24 X-2', async (scene) => {
    const member = await scene.member();
    const line = await scene.line(member);
    const agent = await scene.connect(member, { line });
    for (let times = 0; times < 12; times++)
      line.send(beginHandshake({ runtime: scene.runtime, member, start: scene.newStart() }).frame);
    await agent.expectUndisturbed();
    const answers = line.frames.items.filter(({ kind }) => kind === 'answer').length;
    expect(answers > 0 && answers <= 5, `with one served before, 12 handshakes brought ${answers} answers`);
  }),
  full('S-16', 'counts the frames of a session from 0, each once', 'F-2 F-7', async (scene) => {
    const member = await scene.member();
    const line = await scene.line(member);
    const answered = await answerTo(scene, member, line);
    line.send(answered.proof);
    const first = await line.frames.take(({ kind }) => kind === 'frame', scene.answerMs, scene.signal);
    expect(first?.counter === 0, `the first frame has counter ${first?.counter ?? 'none'}`);
    line.send(
      answered.channel.message(bytesOf('{"kind":"renew","slot":0,"counter":9,"leases":[],"seen":[]}')),
    );
    const second = await line.frames.take(({ kind }) => kind === 'frame', scene.answerMs, scene.signal);
    expect(second?.counter === 1, `the second frame has counter ${second?.counter ?? 'none'}`);
  }),
];

async function answerTo(scene: Scene, member: Membership, line: Line) {
  const begun = beginHandshake({ runtime: scene.runtime, member, start: scene.newStart() });
  return askAnswer(line, begun, scene.answerMs, scene.signal);
}

async function nextAnswer(scene: Scene, line: Line): Promise<Header> {
  const header = await line.frames.take(({ kind }) => kind === 'answer', scene.answerMs, scene.signal);
  expect(header !== undefined, 'message 1 was not answered');
  return header;
}

async function expectHint(scene: Scene, line: Line, unknown: Uint8Array): Promise<void> {
  const hint = await line.frames.take(({ kind }) => kind === 'unknownSession', scene.answerMs, scene.signal);
  expect(hint !== undefined && sameBytes(hint.receiver, unknown), 'there was no hint with that session id');
}
