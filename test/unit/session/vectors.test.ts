import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import type { PrivateKey } from '../../../protocol/runtime/runtime.ts';
import { decodeHeader } from '../../../protocol/session/header.ts';
import { Handshake, nonceOf, type Pattern, type SessionKeys } from '../../../protocol/session/noise.ts';
import { encodePrologue } from '../../../protocol/session/prologue.ts';
import { Transport } from '../../../protocol/session/transport.ts';
import { generateVectors } from '../../../protocol/vectors/generate.ts';

const crypto = createCrypto();
const none = new Uint8Array(0);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const unhex = (digits: string) => new Uint8Array(Buffer.from(digits, 'hex'));
const key = (digits: string): PrivateKey => crypto.importPrivate('x25519', unhex(digits));

interface Fixed {
  readonly pattern: Pattern;
  readonly prologue: Uint8Array;
  readonly initiatorStatic: PrivateKey;
  readonly initiatorEphemeral: PrivateKey;
  readonly responderStatic: PrivateKey;
  readonly responderEphemeral: PrivateKey;
}

function sides(fixed: Fixed): [Handshake, Handshake] {
  const side = (role: 'initiator' | 'responder', staticKey: PrivateKey, ephemeral: PrivateKey) =>
    new Handshake({
      crypto: { ...crypto, generate: () => ephemeral },
      pattern: fixed.pattern,
      role,
      prologue: fixed.prologue,
      staticKey,
      ...(fixed.pattern === 'IK' &&
        role === 'initiator' && { remoteStatic: fixed.responderStatic.publicKey }),
    });
  return [
    side('initiator', fixed.initiatorStatic, fixed.initiatorEphemeral),
    side('responder', fixed.responderStatic, fixed.responderEphemeral),
  ];
}

/** Each handshake message written as published and, by the other side, read from what is published. */
function replay(
  fixed: Fixed,
  messages: readonly { payload: string; ciphertext: string }[],
): [SessionKeys, SessionKeys] {
  const [initiator, responder] = sides(fixed);
  for (const [index, { payload, ciphertext }] of messages.entries()) {
    const [writer, reader] = index % 2 === 0 ? [initiator, responder] : [responder, initiator];
    expect(hex(writer.write(unhex(payload)))).toBe(ciphertext);
    const read = reader.read(unhex(ciphertext));
    expect(read && hex(read)).toBe(payload);
  }
  expect(responder.remoteStatic?.raw).toEqual(fixed.initiatorStatic.publicKey.raw);
  expect(initiator.remoteStatic?.raw).toEqual(fixed.responderStatic.publicKey.raw);
  return [initiator.finish(), responder.finish()];
}

interface Published {
  readonly source: string;
  readonly protocol_name: string;
  readonly init_prologue: string;
  readonly init_static: string;
  readonly init_ephemeral: string;
  readonly init_remote_static?: string;
  readonly resp_prologue: string;
  readonly resp_static: string;
  readonly resp_ephemeral: string;
  readonly handshake_hash?: string;
  readonly messages: readonly { payload: string; ciphertext: string }[];
}

/** IKpsk2 is no part of the protocol. */
function publishedVectors(folder: string): Published[] {
  const file: { vectors: Published[] } = JSON.parse(readFileSync(join(folder, 'noise.json'), 'utf8'));
  return file.vectors.filter(({ protocol_name }) =>
    /^Noise_(XX|IK)_25519_AESGCM_SHA256$/.test(protocol_name),
  );
}

const folder = process.env['COPILOT_VECTORS'];

describe('published Noise vectors', () => {
  if (folder === undefined) {
    it('are named by COPILOT_VECTORS wherever CI is set', () => {
      expect(process.env['CI']).not.toBe('true');
    });
    return;
  }
  const vectors = publishedVectors(folder);

  it('are there for both patterns from both sources', () => {
    expect(
      vectors.map(({ source, protocol_name }) => `${source} ${protocol_name.slice(6, 8)}`).toSorted(),
    ).toEqual(['cacophony IK', 'cacophony XX', 'snow IK', 'snow XX']);
  });

  it.each(vectors.map((vector) => [`${vector.source} ${vector.protocol_name}`, vector] as const))(
    '%s: both sides',
    (_name, vector) => {
      const pattern: Pattern = vector.protocol_name.includes('_XX_') ? 'XX' : 'IK';
      const fixed: Fixed = {
        pattern,
        prologue: unhex(vector.init_prologue),
        initiatorStatic: key(vector.init_static),
        initiatorEphemeral: key(vector.init_ephemeral),
        responderStatic: key(vector.resp_static),
        responderEphemeral: key(vector.resp_ephemeral),
      };
      expect(vector.resp_prologue).toBe(vector.init_prologue);
      const handshakeMessages = pattern === 'XX' ? 3 : 2;
      const [initiator, responder] = replay(fixed, vector.messages.slice(0, handshakeMessages));
      expect(hex(initiator.handshakeHash)).toBe(vector.handshake_hash ?? hex(responder.handshakeHash));
      const counters = { initiator: 0, responder: 0 };
      for (const [index, { payload, ciphertext }] of vector.messages.slice(handshakeMessages).entries()) {
        const sender = (handshakeMessages + index) % 2 === 0 ? 'initiator' : 'responder';
        const [from, to] = sender === 'initiator' ? [initiator, responder] : [responder, initiator];
        const nonce = nonceOf(counters[sender]++);
        expect(hex(crypto.seal(from.send, nonce, none, unhex(payload)))).toBe(ciphertext);
        const opened = crypto.open(to.receive, nonce, none, unhex(ciphertext));
        expect(opened && hex(opened)).toBe(payload);
      }
    },
  );
});

describe('our own vectors', () => {
  const ours = (name: string) =>
    JSON.parse(readFileSync(new URL(`../../../protocol/vectors/${name}`, import.meta.url), 'utf8'));

  it.each([...generateVectors()])('%s is what generate.ts writes', (name, text) => {
    expect(readFileSync(new URL(`../../../protocol/vectors/${name}`, import.meta.url), 'utf8')).toBe(text);
  });

  const fixedOf = (vector: ReturnType<typeof ours>, pattern: Pattern): Fixed => ({
    pattern,
    prologue: unhex(vector.prologue.bytes),
    initiatorStatic: key(vector.initiatorStaticPrivate),
    initiatorEphemeral: key(vector.initiatorEphemeralPrivate),
    responderStatic: key(vector.responderStaticPrivate),
    responderEphemeral: key(vector.responderEphemeralPrivate),
  });
  const messagesOf = (vector: ReturnType<typeof ours>): { payload: string; ciphertext: string }[] =>
    vector.messages.map(({ payload, message }: { payload: string; message: string }) => ({
      payload,
      ciphertext: message,
    }));

  it.each(['XX', 'IK'] as const)('%s: both sides, prologue, hash and outer headers', (pattern) => {
    const vector = ours(`handshake-${pattern.toLowerCase()}.json`);
    expect(hex(encodePrologue(vector.prologue))).toBe(vector.prologue.bytes);
    const [initiator] = replay(fixedOf(vector, pattern), messagesOf(vector));
    expect(hex(initiator.handshakeHash)).toBe(vector.handshakeHash);
    const headers = vector.messages.map(({ frame }: { frame: string }) => decodeHeader(unhex(frame)));
    expect(headers.map((header: { kind: string }) => header.kind)).toEqual(
      ['hello', 'answer', 'proof'].slice(0, headers.length),
    );
    expect(headers[0].keyId).toBe(vector.keyId);
    expect(hex(headers[1].receiver)).toBe(vector.messages[0].message.slice(0, 16));
  });

  it('frames open on the other side in any order, and seal to the same bytes', () => {
    const frames = ours('frames.json');
    const vector = ours('handshake-xx.json');
    const [initiator, responder] = replay(fixedOf(vector, 'XX'), messagesOf(vector));
    const directions = [
      { entries: frames.fromInitiator, from: initiator, to: responder, peer: vector.responderSessionId },
      { entries: frames.fromResponder, from: responder, to: initiator, peer: vector.initiatorSessionId },
    ];
    for (const { entries, from, to, peer } of directions) {
      const sealing = new Transport({ crypto, keys: from, peerSessionId: unhex(peer), startedMs: 0 });
      for (const { content, body, frame } of entries) {
        expect(hex(content === 0 ? sealing.sealConfirmation() : sealing.sealMessage(unhex(body)))).toBe(
          frame,
        );
      }
      const opening = new Transport({ crypto, keys: to, peerSessionId: unhex(peer), startedMs: 0 });
      for (const { counter, content, body, frame } of entries.toReversed()) {
        const header = decodeHeader(unhex(frame))!;
        expect(header).toMatchObject({ kind: 'frame', counter, receiver: unhex(peer) });
        expect(opening.open(header)).toEqual(
          content === 0 ? { kind: 'confirmation' } : { kind: 'message', body: unhex(body) },
        );
      }
    }
    expect(decodeHeader(unhex(frames.unknownSession.frame))).toMatchObject({
      kind: 'unknownSession',
      receiver: unhex(frames.unknownSession.sessionId),
    });
  });
});
