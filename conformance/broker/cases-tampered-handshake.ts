import { bytesOf } from '../../protocol/encoding.ts';
import type { AgentHello } from '../../protocol/generated/types.ts';
import { encodeHello, HEADER_BYTES } from '../../protocol/session/header.ts';
import { signIdentity } from '../../protocol/tokens.ts';
import { expect } from '../expectation.ts';
import { concatenate, cutBy, flipped, longerBy, withByte } from '../peer/bytes.ts';
import { LOW_ORDER_POINTS } from '../peer/low-order.ts';
import { type BrokerCase, full } from './broker-case.ts';
import { type Answered, askAnswer, beginHandshake, type HandshakeParts } from './handshake.ts';
import { claimsOf, type Membership } from './membership.ts';
import type { Scene } from './scene.ts';

/** What is wrong, what proves that it must be dropped, and how a right frame becomes it. */
type Spoiling = readonly [what: string, requirements: string, spoil: (frame: Uint8Array) => Uint8Array];

/** Bytes of message 3 by what they are: the sealed static key, its tag, the payload, its tag. */
const STATIC = HEADER_BYTES;
const STATIC_TAG = STATIC + 32;
const PAYLOAD = STATIC_TAG + 16;

const HEADER_SPOILINGS: readonly Spoiling[] = [
  ['of type 0', 'H-1', (frame) => withByte(frame, 0, 0)],
  ['of type 6', 'H-1', (frame) => withByte(frame, 0, 6)],
  ['of type 255', 'H-1', (frame) => withByte(frame, 0, 255)],
  ['of suite 0', 'H-1', (frame) => withByte(frame, 1, 0)],
  ['of suite 2', 'H-1', (frame) => withByte(frame, 1, 2)],
  ['with the high byte of the key id set', 'H-1 H-2', (frame) => withByte(frame, 2, 1)],
  ['with the low byte of the key id set', 'H-1 H-2', (frame) => withByte(frame, 3, 1)],
];

const MESSAGE_1: readonly Spoiling[] = [
  ...HEADER_SPOILINGS,
  ['with the start of the session id set', 'H-1 H-3', (frame) => withByte(frame, 4, 1)],
  ['with the end of the session id set', 'H-1 H-3', (frame) => withByte(frame, 11, 1)],
  ['that says it is message 2', 'H-1', (frame) => withByte(longerBy(frame, 40), 0, 2)],
  ['a byte short', 'H-1 S-4', (frame) => cutBy(frame, 1)],
  ['a byte long', 'H-1 S-4', (frame) => longerBy(frame, 1)],
  ['with a payload', 'S-4', (frame) => concatenate(frame, bytesOf('a payload of message 1'))],
  ['of 4,096 bytes', 'H-1 S-4', (frame) => longerBy(frame, 4096 - frame.length)],
  ['of 4,097 bytes', 'H-1', (frame) => longerBy(frame, 4097 - frame.length)],
  ['cut to its header', 'H-1', (frame) => frame.slice(0, HEADER_BYTES)],
  ['cut within its header', 'H-1', (frame) => frame.slice(0, 7)],
];

const MESSAGE_3: readonly Spoiling[] = [
  ...HEADER_SPOILINGS,
  ['a byte short', 'S-21', (frame) => cutBy(frame, 1)],
  ['a byte long', 'S-21', (frame) => longerBy(frame, 1)],
  ['without its payload', 'S-21 F-9', (frame) => frame.slice(0, PAYLOAD)],
  ['of 75 bytes', 'H-1', (frame) => frame.slice(0, 75)],
  ['with the sealed key changed at its start', 'S-21', (frame) => flipped(frame, STATIC)],
  ['with the sealed key changed at its end', 'S-21', (frame) => flipped(frame, STATIC_TAG - 1)],
  ['with the tag of the key changed', 'S-21 F-9', (frame) => flipped(frame, STATIC_TAG)],
  ['with the payload changed at its start', 'S-21', (frame) => flipped(frame, PAYLOAD)],
  ['with the payload changed in its middle', 'S-21', (frame) => flipped(frame, PAYLOAD + 200)],
  ['with the tag of the payload changed', 'S-21 F-9', (frame) => flipped(frame, -1)],
  ['with zeros for the sealed key', 'S-21', (frame) => frame.fill(0, STATIC, PAYLOAD)],
];

/** Message 3 that only the agent itself can make, and says what it may not. */
const HELLOS: readonly (readonly [
  what: string,
  requirements: string,
  parts: (scene: Scene, member: Membership) => Partial<HandshakeParts>,
])[] = [
  ['another installation in its prologue', 'S-2', () => ({ prologue: { installation: 'another' } })],
  ['another role in its prologue', 'S-2', () => ({ prologue: { responderRole: 'adapter jobs' } })],
  [
    "another key than the identity's",
    'S-9',
    (scene) => ({ staticKey: scene.runtime.crypto.generate('x25519') }),
  ],
  ['an identity signed by nobody known', 'S-9', forged],
  [
    'an identity with a changed signature',
    'S-9',
    says((hello) => ({ identity: changedTail(hello.identity) })),
  ],
  ['an identity whose claims were changed', 'S-9 E-13', says((hello) => ({ identity: otherClaims(hello) }))],
  ['an identity with "alg":"none"', 'E-13', says((hello) => ({ identity: withoutSignature(hello) }))],
  ['an identity with another header order', 'E-13', says((hello) => ({ identity: otherHeader(hello) }))],
  ['no identity', 'S-9', says(() => ({ identity: undefined }))],
  ['version 2', 'S-9 S-27', says(() => ({ version: 2 }))],
  ['version 0', 'S-9 S-27', says(() => ({ version: 0 }))],
  ['a field the schema does not name', 'S-8 X-1', says(() => ({ tier: 'trusted' }))],
  ['a session id of 7 bytes', 'S-8', says((hello) => ({ session: hello.session.slice(2) }))],
  ['a session id in capitals', 'S-8', says(() => ({ session: 'ABCDEF0123456789' }))],
  ['a start id of 25 letters', 'S-8 W-1', says((hello) => ({ start: hello.start.slice(1) }))],
  ['the kind of another message', 'S-8', says(() => ({ kind: 'broker-hello' }))],
  ['a payload that is no JSON', 'S-8', () => ({ hello: () => bytesOf('{"kind":') })],
  ['an empty payload', 'S-8', () => ({ hello: () => new Uint8Array(0) })],
];

/** Handshake messages that were changed on the way, or made by who should not. */
export const TAMPERED_HANDSHAKE_CASES: readonly BrokerCase[] = [
  ...MESSAGE_1.map(([what, requirements, spoil], index) =>
    full(`TH-1${number(index)}`, `drops message 1 ${what}, and answers the true one`, requirements, (scene) =>
      expectNoAnswer(scene, spoil),
    ),
  ),
  ...LOW_ORDER_POINTS.map((point, index) =>
    full(`TH-2${number(index)}`, `drops message 1 with key ${index + 1} of small order`, 'S-21', (scene) =>
      expectNoAnswer(scene, () => encodeHello(0, point)),
    ),
  ),
  ...MESSAGE_3.map(([what, requirements, spoil], index) =>
    full(
      `TH-3${number(index)}`,
      `drops message 3 ${what}, and takes the true one`,
      `${requirements} S-13`,
      (scene) => expectNotSpoilt(scene, spoil),
    ),
  ),
  ...HELLOS.map(([what, requirements, parts], index) =>
    full(`TH-4${number(index)}`, `says nothing to a message 3 with ${what}`, requirements, (scene) =>
      expectSilence(scene, parts),
    ),
  ),
  full(
    'TH-501',
    'opens no session for a message 3 that another connection has sent before',
    'S-18 S-21',
    async (scene) => {
      const member = await scene.member();
      const { line, answered } = await answeredOn(scene, member);
      line.send(answered.proof);
      await line.frames.take(({ kind }) => kind === 'frame', scene.answerMs, scene.signal);
      await line.close();
      const late = await scene.line(member);
      late.send(answered.proof);
      await scene.whileAnotherIsServed(member);
      expect(
        late.frames.items.every(({ kind }) => kind === 'unknownSession'),
        'the replayed message 3 was answered',
      );
    },
  ),
  full('TH-502', 'opens no session for a message 3 of another handshake', 'S-13 S-21', async (scene) => {
    const member = await scene.member();
    const one = await answeredOn(scene, member);
    const other = await answeredOn(scene, member);
    const mixed = concatenate(
      one.answered.proof.slice(0, HEADER_BYTES),
      other.answered.proof.slice(HEADER_BYTES),
    );
    one.line.send(mixed);
    await scene.whileAnotherIsServed(member);
    expect(one.line.frames.items.length === 0, 'a message 3 of another handshake was answered');
    await expectOpens(scene, one);
  }),
  full('TH-503', 'takes no frame before message 3', 'S-13 F-7', async (scene) => {
    const member = await scene.member();
    const { line, answered } = await answeredOn(scene, member);
    line.send(answered.channel.message(renewal()));
    await scene.whileAnotherIsServed(member);
    expect(
      line.frames.items.every(({ kind }) => kind !== 'frame'),
      'a frame was answered before message 3',
    );
    await expectOpens(scene, { line, answered });
  }),
  full('TH-504', 'takes no message 2 for anything, its own least of all', 'S-21', async (scene) => {
    const member = await scene.member();
    const line = await scene.line(member);
    const begun = beginHandshake({ runtime: scene.runtime, member, start: scene.newStart() });
    line.send(begun.frame);
    const header = await line.frames.take((frame) => begun.isAnswer(frame), scene.answerMs, scene.signal);
    expect(header !== undefined, 'message 1 was not answered');
    const reflected = concatenate(Uint8Array.of(2, 1, 0, 0), header.receiver, header.body);
    line.send(reflected);
    const answered = begun.read(header);
    line.send(concatenate(Uint8Array.of(3, 1, 0, 0), header.receiver, header.body));
    await expectOpens(scene, { line, answered });
  }),
  full('TH-505', 'binds message 2 to the very message 1', 'S-1 S-2', async (scene) => {
    const member = await scene.member();
    const line = await scene.line(member);
    const begun = beginHandshake({ runtime: scene.runtime, member, start: scene.newStart() });
    line.send(flipped(begun.frame, -1));
    const header = await line.frames.take(({ kind }) => kind === 'answer', scene.answerMs, scene.signal);
    expect(
      header === undefined || !begun.opens(header),
      'the answer to a changed message 1 opens as one to the true one',
    );
  }),
];

interface Proposed {
  readonly line: Awaited<ReturnType<Scene['line']>>;
  readonly answered: Answered;
}

async function answeredOn(scene: Scene, member: Membership): Promise<Proposed> {
  const line = await scene.line(member);
  const begun = beginHandshake({ runtime: scene.runtime, member, start: scene.newStart() });
  return { line, answered: await askAnswer(line, begun, scene.answerMs, scene.signal) };
}

async function expectNoAnswer(scene: Scene, spoil: (frame: Uint8Array) => Uint8Array): Promise<void> {
  const member = await scene.member();
  const line = await scene.line(member);
  line.send(spoil(beginHandshake({ runtime: scene.runtime, member, start: scene.newStart() }).frame));
  const agent = await scene.connect(member, { line });
  await agent.expectUndisturbed();
  expect(
    line.frames.items.length === 0,
    `it was answered by ${line.frames.items.map(({ kind }) => kind).join(', ')}`,
  );
}

/** The spoilt message 3 opens nothing, and the true one after it does. */
async function expectNotSpoilt(scene: Scene, spoil: (frame: Uint8Array) => Uint8Array): Promise<void> {
  const member = await scene.member();
  const proposed = await answeredOn(scene, member);
  proposed.line.send(spoil(new Uint8Array(proposed.answered.proof)));
  await scene.whileAnotherIsServed(member);
  expect(proposed.line.frames.items.length === 0, 'the spoilt message 3 was answered');
  await expectOpens(scene, proposed);
}

async function expectOpens(scene: Scene, { line, answered }: Proposed): Promise<void> {
  line.send(answered.proof);
  const opens = (plaintext: Uint8Array | undefined): boolean => plaintext !== undefined;
  const frame = await line.frames.take(
    (header) => opens(answered.channel.open(header)),
    scene.answerMs,
    scene.signal,
  );
  expect(frame !== undefined, 'the true message 3 opened no session afterwards');
}

async function expectSilence(
  scene: Scene,
  parts: (scene: Scene, member: Membership) => Partial<HandshakeParts>,
): Promise<void> {
  const member = await scene.member();
  const line = await scene.line(member);
  const common = { runtime: scene.runtime, member, start: scene.newStart() };
  const begun = beginHandshake({ ...common, ...parts(scene, member) });
  line.send(begun.frame);
  const header = await line.frames.take((frame) => begun.isAnswer(frame), scene.answerMs / 4, scene.signal);
  // With another prologue nothing after message 1 opens on either side: there is no message 3 to send.
  if (header !== undefined && begun.opens(header)) {
    const { proof, channel } = begun.read(header);
    line.send(proof);
    line.send(channel.message(renewal()));
  }
  await scene.whileAnotherIsServed(member);
  const frames = line.frames.items.filter(({ kind }) => kind === 'frame' || kind === 'answer');
  expect(frames.length === 0, 'a session was opened');
}

function renewal(): Uint8Array {
  return bytesOf(JSON.stringify({ kind: 'renew', slot: 0, counter: 2000, leases: [], seen: [] }));
}

function says(change: (hello: AgentHello) => object): () => Partial<HandshakeParts> {
  return () => ({ hello: (hello) => ({ ...hello, ...change(hello) }) });
}

function forged(scene: Scene, member: Membership): Partial<HandshakeParts> {
  const { crypto } = scene.runtime;
  const identity = signIdentity(crypto, crypto.generate('p256'), member.claims);
  return { hello: (hello) => ({ ...hello, identity }) };
}

function changedTail(identity: string): string {
  const [head = '', body = '', signature = ''] = identity.split('.');
  const raw = flipped(new Uint8Array(Buffer.from(signature, 'base64url')), 5);
  return `${head}.${body}.${Buffer.from(raw).toString('base64url')}`;
}

function otherClaims({ identity }: AgentHello): string {
  const [head = '', , signature = ''] = identity.split('.');
  return `${head}.${part({ ...claimsOf(identity), tier: 'trusted' })}.${signature}`;
}

function withoutSignature({ identity }: AgentHello): string {
  return `${part({ alg: 'none', typ: 'JWT' })}.${part(claimsOf(identity))}.`;
}

function otherHeader({ identity }: AgentHello): string {
  const [, body = '', signature = ''] = identity.split('.');
  return `${part({ typ: 'JWT', alg: 'ES256' })}.${body}.${signature}`;
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function number(index: number): string {
  return String(index + 1).padStart(2, '0');
}
