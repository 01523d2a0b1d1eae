import { bytesOf } from '../../protocol/encoding.ts';
import { encodeHint, FRAME_HEADER_BYTES, HEADER_BYTES } from '../../protocol/session/header.ts';
import type { AskBody } from '../../protocol/session/trusted-link.ts';
import { expect } from '../expectation.ts';
import { concatenate, cutBy, flipped, longerBy, withByte } from '../peer/bytes.ts';
import { type AdapterCase, adapterCase } from './adapter-case.ts';
import { type AdapterScene, expectServing, harmless } from './scene.ts';
import { quiet } from './stage.ts';
import { nextItem } from './talk.ts';

const COUNTER = 12;

const FRAMES: readonly (readonly [
  what: string,
  requirements: string,
  spoil: (frame: Uint8Array) => Uint8Array,
])[] = [
  ['of type 7', 'H-1', (frame) => withByte(frame, 0, 7)],
  ['of suite 2', 'H-1', (frame) => withByte(frame, 1, 2)],
  ['with its key id set', 'H-2', (frame) => withByte(frame, 3, 1)],
  ['with its counter changed', 'F-1', (frame) => flipped(frame, COUNTER + 7)],
  ['with counter 2^53', 'H-4', (frame) => withByte(frame, COUNTER + 1, 0x20)],
  ['with what is sealed changed', 'S-21', (frame) => flipped(frame, FRAME_HEADER_BYTES)],
  ['with its tag changed', 'F-9', (frame) => flipped(frame, -1)],
  ['a byte short', 'F-9', (frame) => cutBy(frame, 1)],
  ['a byte long', 'S-21', (frame) => longerBy(frame, 1)],
];

const NO_MESSAGES: readonly (readonly [what: string, bytes: Uint8Array])[] = [
  ['that is no JSON', bytesOf('{"kind":')],
  ['of an agent', bytesOf('{"kind":"renew","slot":0,"counter":1,"leases":[],"seen":[]}')],
  ['without items', bytesOf('{"kind":"ask","items":[]}')],
  ['with an item of no number', bytesOf('{"kind":"ask","items":[{"op":"discard"}]}')],
];

const SUITE_OF_ITEMS = 128;

/** Sessions and batches, the same for every adapter. */
export const SESSION_CASES: readonly AdapterCase[] = [
  adapterCase('core', 'S-01', 'answers its broker, and what it asks', 'S-1 S-2 S-15 T-1', [], expectServing),
  adapterCase(
    'full',
    'S-02',
    'says nothing to a broker it is not configured with',
    'S-16',
    [],
    async (scene) => {
      const { stage } = scene;
      await expectSilent(scene, stage.ik({ staticKey: stage.runtime.crypto.generate('x25519') }).frame);
    },
  ),
  adapterCase('full', 'S-03', 'says nothing to a message 1 for another key id', 'H-2', [], async (scene) => {
    await expectSilent(scene, scene.stage.ik({ keyId: 77 }).frame);
  }),
  adapterCase(
    'full',
    'S-04',
    'says nothing to a message 1 that is too short, or of another suite',
    'H-1 S-17',
    [],
    async (scene) => {
      const { frame } = scene.stage.ik();
      await expectSilent(
        scene,
        frame.slice(0, HEADER_BYTES + 60),
        withByte(frame, 1, 2),
        withByte(frame, 4, 9),
      );
    },
  ),
  adapterCase(
    'full',
    'S-05',
    'says nothing to a message 1 that was changed',
    'S-17 S-21',
    [],
    async (scene) => {
      await expectSilent(scene, flipped(scene.stage.ik().frame, -1));
    },
  ),
  adapterCase(
    'full',
    'S-06',
    'changes nothing for a message 1 that comes again',
    'S-17',
    [],
    async (scene) => {
      const { stage, signal } = scene;
      const before = await stage.talk(signal);
      const { frame } = stage.ik();
      await stage.send(frame);
      await stage.send(frame);
      await before.ask(harmless(stage), signal);
    },
  ),
  adapterCase(
    'full',
    'S-07',
    'answers an item again on a new session, under the same number',
    'T-3 T-5 S-25',
    [],
    async (scene) => {
      const { stage, signal } = scene;
      const item = nextItem();
      const first = await (await stage.talk(signal)).ask(harmless(stage), signal, item);
      const again = await (await stage.newTalk(signal)).ask(harmless(stage), signal, item);
      expect(first.result === again.result, `first it was ${first.result}, then ${again.result}`);
    },
  ),
  ...FRAMES.map(([what, requirements, spoil], index) =>
    adapterCase('full', `S-1${index + 1}`, `drops a frame ${what}`, requirements, [], async (scene) => {
      const { stage, signal } = scene;
      const talk = await stage.talk(signal);
      const item = nextItem();
      const frame = talk.channel.message(batch([{ ...harmless(stage), item }]));
      await stage.send(spoil(new Uint8Array(frame)));
      await expectServing(scene);
      const answered = talk.answers.items.some((entry) => entry.item === item);
      expect(!answered, 'it was answered');
      await stage.send(frame);
      await talk.answerTo(item, signal, 'the true frame');
      await stage.send(frame);
      await expectServing(scene);
      expect(!talk.answers.items.some((entry) => entry.item === item), 'a replayed frame was answered');
    }),
  ),
  adapterCase('full', 'S-21', 'gives nothing up for a forged hint', 'S-23', [], async (scene) => {
    const { channel } = await scene.stage.talk(scene.signal);
    for (const id of [channel.ownId, channel.peerId]) await scene.stage.send(encodeHint(id));
    await expectServing(scene);
  }),
  ...NO_MESSAGES.map(([what, bytes], index) =>
    adapterCase('full', `S-3${index + 1}`, `survives a message ${what}`, 'M-1 T-1', [], async (scene) => {
      const talk = await scene.stage.talk(scene.signal);
      await talk.sayBytes(bytes);
      await expectServing(scene);
    }),
  ),
  adapterCase(
    'full',
    'T-01',
    `answers each of ${SUITE_OF_ITEMS} items of a batch by its number`,
    'T-1 T-2',
    [],
    async (scene) => {
      const { stage, signal } = scene;
      const talk = await stage.talk(signal);
      const items = Array.from({ length: SUITE_OF_ITEMS }, () => ({ ...harmless(stage), item: nextItem() }));
      await talk.askAll(items);
      for (const { item } of items) await talk.answerTo(item, signal);
    },
  ),
  adapterCase('full', 'T-02', 'answers an item once more under its number', 'T-3 T-5', [], async (scene) => {
    const { stage, signal } = scene;
    const talk = await stage.talk(signal);
    const item = nextItem();
    const [one, other] = [
      await talk.ask(harmless(stage), signal, item),
      await talk.ask(harmless(stage), signal, item),
    ];
    expect(one.result === other.result, `first it was ${one.result}, then ${other.result}`);
  }),
  ...otherItems('job', [
    { op: 'grant', grant: 'a.b.c' },
    { op: 'verify', job: 'a'.repeat(26), attempt: 1, manifest: [] },
    { op: 'finalise', job: 'a'.repeat(26), attempt: 1, manifest: [] },
    { op: 'discard', job: 'a'.repeat(26), attempt: 1 },
  ]),
  ...otherItems('storage', [
    { op: 'fetch', queue: 'conformance', max: 1, accepted: [] },
    { op: 'started', job: 'a'.repeat(26), attempt: 1, agent: 'a'.repeat(26) },
    { op: 'released', job: 'a'.repeat(26), attempt: 1, reason: 'drain' },
    { op: 'failed', job: 'a'.repeat(26), outcome: 'failed', reason: 'no reason', attempts: [] },
    { op: 'call', job: 'a'.repeat(26), attempt: 1, method: 'conformance', body: '' },
    { op: 'parts', job: 'a'.repeat(26), attempt: 1, verb: 'take', parts: [] },
  ]),
];

/** Items for the other kind of adapter. */
function otherItems(kind: 'job' | 'storage', bodies: readonly AskBody[]): readonly AdapterCase[] {
  return bodies.map((body) =>
    adapterCase(
      'full',
      `T-04-${kind}-${body.op}`,
      `refuses ${body.op} with UNSUPPORTED`,
      'T-4',
      [kind],
      async ({ stage, signal }) => (await stage.talk(signal)).expectRefused('UNSUPPORTED', body, signal),
    ),
  );
}

async function expectSilent(scene: AdapterScene, ...frames: readonly Uint8Array[]): Promise<void> {
  const { stage, signal } = scene;
  await stage.talk(signal);
  const before = stage.frames.items.length;
  for (const frame of frames) await stage.send(frame);
  await expectServing(scene);
  await quiet(signal);
  expect(stage.frames.items.length === before, 'it was answered');
}

function batch(items: readonly object[]): Uint8Array {
  return concatenate(bytesOf(JSON.stringify({ kind: 'ask', items })));
}
