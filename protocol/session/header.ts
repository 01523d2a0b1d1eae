import { MAX_FRAME_BYTES } from '../bindings/bus.ts';
import { writeUint64 } from './noise.ts';

/** Suite 1: 25519, AESGCM, SHA256. */
export const SUITE = 1;
export const SESSION_ID_BYTES = 8;
/** Type, suite, key id and receiver's session id. */
export const HEADER_BYTES = 12;
/** The same and the counter, which frames alone carry. */
export const FRAME_HEADER_BYTES = HEADER_BYTES + 8;

const NO_SESSION = new Uint8Array(SESSION_ID_BYTES);
const TYPES = { hello: 1, answer: 2, proof: 3, frame: 4, unknownSession: 5 } as const;
const KINDS = ['hello', 'answer', 'proof', 'frame', 'unknownSession'] as const;

/** Handshake messages 1 (`hello`), 2 (`answer`) and 3 (`proof`), a sealed frame, and the hint that a session is unknown. */
export type HeaderKind = (typeof KINDS)[number];

export interface Header {
  readonly kind: HeaderKind;
  /** In the hello of IK: which of the responder's keys is meant; otherwise 0. */
  readonly keyId: number;
  /** The receiver's session id; in a `hello` zero, in an `answer` the start of the hello's ephemeral key. */
  readonly receiver: Uint8Array;
  /** 0 in anything but a frame. */
  readonly counter: number;
  readonly body: Uint8Array;
}

/** Bytes each kind has at least and at most, header included; what is outside is dropped before any cryptography. */
const BOUNDS: Readonly<Record<HeaderKind, readonly [least: number, most: number]>> = {
  hello: [HEADER_BYTES + 32, 4096],
  answer: [HEADER_BYTES + 32 + 16, 8192],
  proof: [HEADER_BYTES + 32 + 16 + 16, MAX_FRAME_BYTES],
  frame: [FRAME_HEADER_BYTES + 1 + 16, MAX_FRAME_BYTES],
  unknownSession: [HEADER_BYTES, HEADER_BYTES],
};

/** Message 1: it names the responder's key and, as nobody has announced one, no session. */
export function encodeHello(keyId: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + body.length);
  writeStart(bytes, 'hello', NO_SESSION);
  bytes[2] = keyId >>> 8;
  bytes[3] = keyId & 0xff;
  bytes.set(body, HEADER_BYTES);
  return bytes;
}

/** Messages 2 and 3. */
export function encodeMessage(kind: 'answer' | 'proof', receiver: Uint8Array, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + body.length);
  writeStart(bytes, kind, receiver);
  bytes.set(body, HEADER_BYTES);
  return bytes;
}

/** Tells a sender that nobody here knows the session its frame named. */
export function encodeHint(unknown: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  writeStart(bytes, 'unknownSession', unknown);
  return bytes;
}

/** A transport frame; `counter` below 2^53. */
export function encodeFrame(receiver: Uint8Array, counter: number, sealed: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(FRAME_HEADER_BYTES + sealed.length);
  writeStart(bytes, 'frame', receiver);
  writeUint64(bytes, HEADER_BYTES, counter);
  bytes.set(sealed, FRAME_HEADER_BYTES);
  return bytes;
}

/** Undefined for anything that is not exactly as the protocol says; the header's arrays are views of `bytes`. */
export function decodeHeader(bytes: Uint8Array): Header | undefined {
  const kind = KINDS[(bytes[0] ?? 0) - 1];
  if (kind === undefined || bytes[1] !== SUITE) return undefined;
  const [least, most] = BOUNDS[kind];
  if (bytes.length < least || bytes.length > most) return undefined;
  const isFrame = kind === 'frame';
  const keyId = (byteAt(bytes, 2) << 8) | byteAt(bytes, 3);
  const counter = isFrame ? readUint64(bytes, HEADER_BYTES) : 0;
  if (counter === undefined || (kind !== 'hello' && keyId !== 0)) return undefined;
  const receiver = bytes.subarray(4, HEADER_BYTES);
  if (kind === 'hello' && !isZero(receiver)) return undefined;
  return {
    kind,
    keyId,
    receiver,
    counter,
    body: bytes.subarray(isFrame ? FRAME_HEADER_BYTES : HEADER_BYTES),
  };
}

/** A session id as the key of a map. */
export function sessionKey(id: Uint8Array): string {
  return String.fromCharCode(...id);
}

function writeStart(bytes: Uint8Array, kind: HeaderKind, receiver: Uint8Array): void {
  bytes[0] = TYPES[kind];
  bytes[1] = SUITE;
  bytes.set(receiver, 4);
}

/** Undefined from 2^53 on: no honest session counts that far. */
function readUint64(bytes: Uint8Array, offset: number): number | undefined {
  let value = 0;
  for (let at = 0; at < 8; at++) value = value * 256 + byteAt(bytes, offset + at);
  return Number.isSafeInteger(value) ? value : undefined;
}

function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

/** Whether two byte strings that are no secret are the same. */
export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}
