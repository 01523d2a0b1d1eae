import { bytesOf } from '../../protocol/encoding.ts';
import { encodeFrame, encodeHint, FRAME_HEADER_BYTES } from '../../protocol/session/header.ts';
import { expect } from '../expectation.ts';
import { concatenate, cutBy, flipped, longerBy, withByte } from '../peer/bytes.ts';
import { CONFIRMATION, MESSAGE } from '../peer/channel.ts';
import { type BrokerCase, full } from './broker-case.ts';
import type { Player } from './player.ts';
import type { Scene } from './scene.ts';

type Spoiling = readonly [what: string, requirements: string, spoil: (frame: Uint8Array) => Uint8Array];

const COUNTER = 12;
const WINDOW = 64;

/** A right frame changed on the way. */
const SPOILINGS: readonly Spoiling[] = [
  ['of type 3', 'H-1 S-21', (frame) => withByte(frame, 0, 3)],
  ['of type 5', 'H-1', (frame) => withByte(frame, 0, 5)],
  ['of type 7', 'H-1', (frame) => withByte(frame, 0, 7)],
  ['of suite 2', 'H-1', (frame) => withByte(frame, 1, 2)],
  ['with the high byte of the key id set', 'H-1 H-2', (frame) => withByte(frame, 2, 1)],
  ['with the low byte of the key id set', 'H-1 H-2', (frame) => withByte(frame, 3, 1)],
  ['with the start of the session id changed', 'H-3 S-18', (frame) => flipped(frame, 4)],
  ['with the end of the session id changed', 'H-3 S-18', (frame) => flipped(frame, 11)],
  ['with the lowest bit of the counter changed', 'F-1 S-21', (frame) => flipped(frame, COUNTER + 7)],
  ['with the counter 2^32 higher', 'F-1 F-5', (frame) => flipped(frame, COUNTER + 3)],
  ['with the counter 2^53 higher', 'H-4', (frame) => withByte(frame, COUNTER + 1, 0x20)],
  ['with the highest bit of the counter set', 'H-4', (frame) => withByte(frame, COUNTER, 0x80)],
  ['with its first sealed byte changed', 'S-21', (frame) => flipped(frame, FRAME_HEADER_BYTES)],
  ['with a sealed byte in the middle changed', 'S-21', (frame) => flipped(frame, FRAME_HEADER_BYTES + 20)],
  ['with the start of its tag changed', 'F-9', (frame) => flipped(frame, -16)],
  ['with the end of its tag changed', 'F-9', (frame) => flipped(frame, -1)],
  ['without the last byte of its tag', 'F-9', (frame) => cutBy(frame, 1)],
  ['without half of its tag', 'F-9', (frame) => cutBy(frame, 8)],
  ['without its tag', 'F-9', (frame) => cutBy(frame, 16)],
  ['a byte long', 'S-21', (frame) => longerBy(frame, 1)],
  ['of 36 bytes', 'H-1', (frame) => frame.slice(0, 36)],
  ['cut within its counter', 'H-1', (frame) => frame.slice(0, COUNTER + 3)],
  ['with zeros for what is sealed', 'S-21', (frame) => frame.fill(0, FRAME_HEADER_BYTES)],
];

/** Right frames of wrong plaintexts: they count as seen, and nothing comes of them. */
const PLAINTEXTS: readonly (readonly [what: string, requirements: string, plaintext: Uint8Array])[] = [
  ['of kind 2', 'F-3', concatenate(Uint8Array.of(2), bytesOf('{"kind":"renew"}'))],
  ['of kind 255', 'F-3', Uint8Array.of(255, 1)],
  ['that is a confirmation with a byte more', 'F-3', Uint8Array.of(CONFIRMATION, 0)],
  ['that is a message without a byte', 'F-3 F-4', Uint8Array.of(MESSAGE)],
];

/** Frames of a session that were changed, repeated, sent back or made by somebody else. */
export const TAMPERED_FRAME_CASES: readonly BrokerCase[] = [
  ...SPOILINGS.map(([what, requirements, spoil], index) =>
    full(
      `TF-1${number(index)}`,
      `drops a frame ${what}, and takes the true one`,
      requirements,
      async (scene) => {
        const agent = await scene.agent();
        const counter = agent.count(0);
        const frame = renewal(agent, counter);
        agent.send(spoil(new Uint8Array(frame)));
        await agent.expectUndisturbed();
        agent.send(frame);
        await agent.answerTo({ slot: 0, counter }, 'the true frame');
      },
    ),
  ),
  ...PLAINTEXTS.map(([what, requirements, plaintext], index) =>
    full(`TF-2${number(index)}`, `drops a plaintext ${what}`, requirements, async (scene) => {
      const agent = await scene.agent();
      const before = agent.confirmations;
      agent.send(agent.channel.frame(plaintext));
      await agent.expectUndisturbed();
      expect(agent.confirmations === before, 'it was answered as a confirmation');
    }),
  ),
  full('TF-301', 'opens a frame once, however often it comes', 'F-5 S-21', async (scene) => {
    const agent = await scene.agent();
    const counter = agent.count(0);
    const frame = renewal(agent, counter);
    for (let times = 0; times < 5; times++) agent.send(frame);
    await agent.answerTo({ slot: 0, counter });
    await agent.expectUndisturbed();
  }),
  full('TF-302', 'opens no replayed frame under another counter', 'F-1 F-5', async (scene) => {
    const agent = await scene.agent();
    const counter = agent.count(0);
    const frame = renewal(agent, counter);
    agent.send(frame);
    await agent.answerTo({ slot: 0, counter });
    agent.send(withByte(frame, COUNTER + 7, 60));
    await agent.expectUndisturbed();
  }),
  full('TF-303', 'opens frames in any order within the window', 'F-5', async (scene) => {
    const agent = await scene.agent();
    const [late, later] = [confirmation(agent), confirmation(agent)];
    const before = agent.confirmations;
    await agent.expectUndisturbed();
    agent.send(later);
    agent.send(late);
    await agent.expectUndisturbed();
    expect(agent.confirmations === before + 2, 'a frame that came out of order was dropped');
  }),
  full('TF-304', 'opens a frame 63 behind the newest', 'F-5', (scene) =>
    expectInWindow(scene, WINDOW - 1, true),
  ),
  full('TF-305', 'drops a frame 64 behind the newest', 'F-5 X-2', (scene) =>
    expectInWindow(scene, WINDOW, false),
  ),
  full('TF-306', 'drops a frame 65 behind the newest', 'F-5', (scene) =>
    expectInWindow(scene, WINDOW + 1, false),
  ),
  full('TF-307', 'moves its window for no frame that does not verify', 'F-5', async (scene) => {
    const agent = await scene.agent();
    for (const at of [COUNTER + 2, COUNTER + 4, COUNTER + 6])
      agent.send(withByte(confirmation(agent), at, 0xff));
    await agent.expectUndisturbed();
  }),
  full('TF-308', 'serves a session whose counters have gaps', 'F-2 F-5', async (scene) => {
    const agent = await scene.agent();
    for (const gap of [1, 63, 64, 1000, 2 ** 31]) {
      agent.channel.skip(gap);
      await agent.expectUndisturbed();
    }
  }),
  full('TF-309', 'drops a right frame with counter 2^53', 'H-4', async (scene) => {
    const agent = await scene.agent();
    const frame = new Uint8Array(confirmation(agent));
    frame.fill(0, COUNTER, COUNTER + 8);
    frame[COUNTER + 1] = 0x20;
    agent.send(frame);
    await agent.expectUndisturbed();
  }),
  full('TF-310', 'drops its own frame that is sent back', 'S-21 H-3', async (scene) => {
    const agent = await scene.agent();
    for (const id of [agent.channel.ownId, agent.channel.peerId])
      agent.send(encodeFrame(id, 0, agent.channel.sealAsPeer(0, message(agent.count(0)))));
    await agent.expectUndisturbed();
  }),
  full('TF-311', "drops what was sealed by the broker's own key", 'S-21', async (scene) => {
    const agent = await scene.agent();
    const counter = agent.channel.next + 5;
    agent.send(
      encodeFrame(agent.channel.peerId, counter, agent.channel.sealAsPeer(counter, message(agent.count(0)))),
    );
    await agent.expectUndisturbed();
  }),
  full('TF-312', 'drops a frame sealed with associated data', 'F-1', async (scene) => {
    const agent = await scene.agent();
    const counter = agent.channel.next + 5;
    const sealed = agent.channel.seal(counter, message(agent.count(0)), bytesOf('associated'));
    agent.send(encodeFrame(agent.channel.peerId, counter, sealed));
    await agent.expectUndisturbed();
  }),
  full('TF-313', 'drops a frame of one session under the id of another', 'S-18 S-21', async (scene) => {
    const [one, other] = await scene.twoAgents();
    const counter = other.channel.next + 5;
    one.send(encodeFrame(one.channel.peerId, counter, other.channel.seal(counter, message(one.count(0)))));
    await one.expectUndisturbed();
    await other.expectUndisturbed();
  }),
  full(
    'TF-314',
    'hears one agent as itself, whatever connection its frame comes by',
    'M-4 F-8',
    async (scene) => {
      const [one, other] = await scene.twoAgents();
      const counter = one.count(0);
      other.send(renewal(one, counter));
      const frame = await other.line.frames.take(
        ({ kind }) => kind === 'frame',
        scene.answerMs,
        scene.signal,
      );
      expect(frame !== undefined, 'the frame was not answered to where it came from');
      expect(one.channel.open(frame) !== undefined, 'it was answered in the session of another agent');
      await one.expectUndisturbed();
    },
  ),
  full(
    'TF-315',
    'gives nothing up for a forged hint that a session is unknown',
    'S-23 H-1',
    async (scene) => {
      const agent = await scene.agent();
      for (const id of [agent.channel.ownId, agent.channel.peerId]) agent.send(encodeHint(id));
      await agent.expectUndisturbed();
    },
  ),
  full(
    'TF-316',
    'ends no session for a thousand forged frames',
    'S-21',
    async (scene) => {
      const agent = await scene.agent();
      const forged = flipped(confirmation(agent), -1);
      for (let times = 0; times < 1000; times++) agent.send(forged);
      await agent.expectUndisturbed();
    },
    { withinSeconds: 60 },
  ),
  full('TF-317', 'serves nobody under the session of an agent that is gone', 'S-18 S-20', async (scene) => {
    const member = await scene.member();
    const agent = await scene.connect(member);
    await agent.line.close();
    const line = await scene.line(member);
    line.send(renewal(agent, agent.count(0)));
    await scene.whileAnotherIsServed(member);
    expect(
      line.frames.items.every(({ kind }) => kind === 'unknownSession'),
      'a session outlived its connection',
    );
  }),
];

function message(counter: number): Uint8Array {
  const words = { kind: 'renew', slot: 0, counter, leases: [], seen: [] };
  return concatenate(Uint8Array.of(MESSAGE), bytesOf(JSON.stringify(words)));
}

function renewal(agent: Player, counter: number): Uint8Array {
  return agent.channel.frame(message(counter));
}

function confirmation(agent: Player): Uint8Array {
  return agent.channel.confirmation();
}

/** A frame kept back until the newest is so far ahead. */
async function expectInWindow(scene: Scene, behind: number, opens: boolean): Promise<void> {
  const agent = await scene.agent();
  const kept = confirmation(agent);
  agent.channel.skip(behind - 1);
  await agent.expectUndisturbed();
  const before = agent.confirmations;
  agent.send(kept);
  // Under a counter of the gap, so that the newest stays where it is.
  const counter = agent.channel.next - 2;
  agent.send(
    encodeFrame(agent.channel.peerId, counter, agent.channel.seal(counter, message(agent.count(0)))),
  );
  await agent.hear('renewed');
  const opened = agent.confirmations - before;
  expect(
    opened === (opens ? 1 : 0),
    `a frame ${behind} behind the newest was ${opened === 0 ? 'dropped' : 'opened'}`,
  );
}

function number(index: number): string {
  return String(index + 1).padStart(2, '0');
}
