import { readFileSync, writeFileSync } from 'node:fs';
import { MAX_FRAME_BYTES } from '../bindings/bus.ts';
import { createCrypto } from '../runtime/node-runtime.ts';
import type { Crypto, PrivateKey } from '../runtime/runtime.ts';
import { encodeHello, encodeHint, encodeMessage } from '../session/header.ts';
import { Handshake, type Pattern, type SessionKeys } from '../session/noise.ts';
import { encodePrologue } from '../session/prologue.ts';
import { Transport } from '../session/transport.ts';

/**
 * Test vectors for implementations in any language: every byte of a handshake and of frames, from fixed keys. Byte strings are
 * lower-case hex. Run this file to write them again; with `--check` it only says whether they are as they should be.
 */

const native = createCrypto();
const PROLOGUE = { installation: 'example', responderRole: 'broker' };
const KEY_ID = 7;
const INITIATOR_SESSION_ID = fixed(0x11, 8);
const RESPONDER_SESSION_ID = fixed(0x22, 8);

interface Parties {
  readonly pattern: Pattern;
  readonly initiatorStatic: PrivateKey;
  readonly initiatorEphemeral: PrivateKey;
  readonly responderStatic: PrivateKey;
  readonly responderEphemeral: PrivateKey;
}

/** The vector files by name, as text. */
export function generateVectors(): ReadonlyMap<string, string> {
  const xx = runHandshake('XX');
  const ik = runHandshake('IK');
  return new Map([
    ['handshake-xx.json', asText(xx.vector)],
    ['handshake-ik.json', asText(ik.vector)],
    ['frames.json', asText(describeFrames(xx.initiatorKeys, xx.responderKeys))],
  ]);
}

function runHandshake(pattern: Pattern) {
  const parties = fixedParties(pattern);
  const prologue = encodePrologue(PROLOGUE);
  const initiator = new Handshake({
    crypto: withEphemeral(parties.initiatorEphemeral),
    pattern,
    role: 'initiator',
    prologue,
    staticKey: parties.initiatorStatic,
    ...(pattern === 'IK' && { remoteStatic: parties.responderStatic.publicKey }),
  });
  const responder = new Handshake({
    crypto: withEphemeral(parties.responderEphemeral),
    pattern,
    role: 'responder',
    prologue,
    staticKey: parties.responderStatic,
  });
  const messages = exchange(pattern, initiator, responder);
  const initiatorKeys = initiator.finish();
  const responderKeys = responder.finish();
  const vector = {
    protocol: `Noise_${pattern}_25519_AESGCM_SHA256`,
    prologue: { ...PROLOGUE, bytes: hex(prologue) },
    initiatorStaticPrivate: privateHex(parties.initiatorStatic),
    initiatorStaticPublic: hex(parties.initiatorStatic.publicKey.raw),
    initiatorEphemeralPrivate: privateHex(parties.initiatorEphemeral),
    responderStaticPrivate: privateHex(parties.responderStatic),
    responderStaticPublic: hex(parties.responderStatic.publicKey.raw),
    responderEphemeralPrivate: privateHex(parties.responderEphemeral),
    keyId: pattern === 'IK' ? KEY_ID : 0,
    initiatorSessionId: hex(INITIATOR_SESSION_ID),
    responderSessionId: hex(RESPONDER_SESSION_ID),
    messages,
    handshakeHash: hex(initiatorKeys.handshakeHash),
  };
  return { vector, initiatorKeys, responderKeys };
}

function exchange(pattern: Pattern, initiator: Handshake, responder: Handshake) {
  const payloads = pattern === 'XX' ? ['', 'certificate', 'identity'] : ['identity', 'welcome'];
  return payloads.map((text, index) => {
    const [writer, reader] = index % 2 === 0 ? [initiator, responder] : [responder, initiator];
    const payload = new TextEncoder().encode(text);
    const message = writer.write(payload);
    if (reader.read(message) === undefined)
      throw new Error(`message ${index + 1} of ${pattern} was not accepted`);
    return {
      payload: hex(payload),
      message: hex(message),
      frame: hex(withHeader(pattern, index, message, initiator)),
    };
  });
}

function withHeader(pattern: Pattern, index: number, message: Uint8Array, initiator: Handshake): Uint8Array {
  if (index === 0) return encodeHello(pattern === 'IK' ? KEY_ID : 0, message);
  if (index === 2) return encodeMessage('proof', RESPONDER_SESSION_ID, message);
  const ephemeral = initiator.ephemeral?.raw ?? new Uint8Array(0);
  return encodeMessage('answer', ephemeral.subarray(0, 8), message);
}

/** Frames under the keys of the XX handshake, by counter; messages and confirmations, and the hint. */
function describeFrames(initiatorKeys: SessionKeys, responderKeys: SessionKeys) {
  const texts = ['{"kind":"first"}', '{"kind":"second"}', 'x'.repeat(600), 'ü€😀'];
  return {
    about: 'sealed under the keys that handshake-xx.json ends with; content 0 is a confirmation, 1 a message',
    largestFrame: MAX_FRAME_BYTES,
    fromInitiator: sealAll(initiatorKeys, RESPONDER_SESSION_ID, texts),
    fromResponder: sealAll(responderKeys, INITIATOR_SESSION_ID, texts),
    unknownSession: { sessionId: hex(RESPONDER_SESSION_ID), frame: hex(encodeHint(RESPONDER_SESSION_ID)) },
  };
}

function sealAll(keys: SessionKeys, peerSessionId: Uint8Array, texts: readonly string[]) {
  const transport = new Transport({ crypto: native, keys, peerSessionId, startedMs: 0 });
  const confirmation = { counter: 0, content: 0, body: '', frame: hex(transport.sealConfirmation()) };
  const messages = texts.map((text, index) => {
    const body = new TextEncoder().encode(text);
    return { counter: index + 1, content: 1, body: hex(body), frame: hex(transport.sealMessage(body)) };
  });
  return [confirmation, ...messages];
}

function fixedParties(pattern: Pattern): Parties {
  const key = (first: number): PrivateKey => native.importPrivate('x25519', fixed(first, 32));
  return {
    pattern,
    initiatorStatic: key(0x01),
    initiatorEphemeral: key(0x41),
    responderStatic: key(0x81),
    responderEphemeral: key(0xc1),
  };
}

/** Bytes that count up from the first. */
function fixed(first: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (first + at) & 0xff);
}

function withEphemeral(key: PrivateKey): Crypto {
  return { ...native, generate: () => key };
}

function privateHex(key: PrivateKey): string {
  return hex(native.exportPrivate(key));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function asText(vector: object): string {
  return `${JSON.stringify(vector, null, 2)}\n`;
}

function main(isCheck: boolean): void {
  for (const [name, text] of generateVectors()) {
    const file = new URL(name, import.meta.url);
    if (!isCheck) writeFileSync(file, text);
    else if (readFileSync(file, 'utf8') !== text) throw new Error(`${name} is not what generate.ts writes`);
  }
}

if (import.meta.main) main(process.argv.includes('--check'));
