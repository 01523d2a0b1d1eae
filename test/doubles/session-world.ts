import { createCrypto } from '../../protocol/runtime/node-runtime.ts';
import type { Crypto, PrivateKey, Runtime } from '../../protocol/runtime/runtime.ts';
import { createInitiator, type Initiator, type LostReason } from '../../protocol/session/initiator.ts';
import type { Pattern } from '../../protocol/session/noise.ts';
import type { Prologue } from '../../protocol/session/prologue.ts';
import {
  createResponder,
  type EndReason,
  type Responder,
  type ResponderLimits,
} from '../../protocol/session/responder.ts';
import type { Session } from '../../protocol/session/session.ts';
import { createManualClock, type ManualClock } from './manual-clock.ts';
import { createSeededRandom } from './seeded-random.ts';
import { silentLog } from './silent-log.ts';

/** Limits that no test reaches by accident. */
export const WIDE: Partial<ResponderLimits> = {
  halfOpen: 1_000_000,
  halfOpenPerAddress: 1_000_000,
  handshakes: { burst: 1_000_000, everyMs: 1 },
};

export interface WorldOptions {
  readonly pattern: Pattern;
  readonly limits?: Partial<ResponderLimits>;
  readonly prologues?: { readonly initiator?: Prologue; readonly responder?: Prologue };
  readonly seed?: number;
  /** Whose identity the responder takes; everybody's unless told. */
  readonly accepts?: (payload: string) => boolean;
  /** How long the initiator hears nothing before it asks for a sign of life; for ever unless told. */
  readonly quietMs?: number;
  /** Stands before the real cryptography of both sides, to count or to spoil. */
  readonly wrapCrypto?: (crypto: Crypto) => Crypto;
}

export interface Delivered {
  readonly session: Session<string>;
  readonly text: string;
}

/** An initiator and a responder whose frames lie on the wire until they are delivered by hand. */
export interface SessionWorld {
  readonly clock: ManualClock;
  readonly crypto: Crypto;
  readonly responderStatic: PrivateKey;
  readonly initiator: Initiator;
  readonly toResponder: Uint8Array[];
  readonly toInitiator: Uint8Array[];
  readonly sessions: Session<string>[];
  readonly ended: { readonly session: Session<string>; readonly reason: EndReason }[];
  readonly atResponder: Delivered[];
  readonly atInitiator: string[];
  readonly opens: number[];
  readonly lost: LostReason[];
  readonly authentications: string[];
  responder: Responder<string>;
  /** A responder with the same keys and no memory, as after a restart. */
  restartResponder(): void;
  /** Another initiator with its own state at the same responder; what it sends is put on the same wire. */
  otherInitiator(seed: number): Initiator;
  /** Delivers both ways until nothing lies on the wire. */
  settle(): void;
  /** A session that both sides have confirmed. */
  open(): Session<string>;
}

export const ADDRESS = 'peer-1';
const DEFAULT_PROLOGUE: Prologue = { installation: 'test', responderRole: 'broker' };
export const KEY_ID = 3;

export const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
export const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

export function createSessionWorld(options: WorldOptions): SessionWorld {
  const { pattern } = options;
  const clock = createManualClock();
  const random = createSeededRandom(options.seed ?? 1);
  const plain = createCrypto(random);
  const crypto = options.wrapCrypto?.(plain) ?? plain;
  const runtime: Runtime = { clock, random, crypto, log: silentLog };
  const responderStatic = crypto.generate('x25519');
  const initiatorStatic = crypto.generate('x25519');
  const keyId = pattern === 'IK' ? KEY_ID : 0;

  const createTestResponder = (): Responder<string> =>
    createResponder<string>({
      runtime,
      pattern,
      staticKeys: new Map([[keyId, responderStatic]]),
      prologue: options.prologues?.responder ?? DEFAULT_PROLOGUE,
      hello: (sessionId) => concatenate(sessionId, encode('hello')),
      authenticate(payload) {
        const principal = decode(payload.subarray(8));
        world.authentications.push(principal);
        if (options.accepts?.(principal) === false) return undefined;
        return { principal, peerSessionId: payload.slice(0, 8) };
      },
      send: (_to, frame) => void world.toInitiator.push(frame),
      onSession: (session) => void world.sessions.push(session),
      onMessage: (session, message) => void world.atResponder.push({ session, text: decode(message) }),
      onEnd: (session, reason) => void world.ended.push({ session, reason }),
      ...(options.limits !== undefined && { limits: options.limits }),
    });

  const createTestInitiator = (ofRuntime: Runtime): Initiator => {
    const common = {
      runtime: ofRuntime,
      staticKey: initiatorStatic,
      prologue: options.prologues?.initiator ?? DEFAULT_PROLOGUE,
      onResponderHello: (payload2: Uint8Array, _static: Uint8Array, ownSessionId: Uint8Array) => ({
        payload3: concatenate(ownSessionId, encode('identity')),
        sessionId: payload2.slice(0, 8),
      }),
      send: (frame: Uint8Array) => void world.toResponder.push(frame),
      onOpen: () => void world.opens.push(clock.monotonicMs()),
      onMessage: (message: Uint8Array) => void world.atInitiator.push(decode(message)),
      onLost: (reason: LostReason) => void world.lost.push(reason),
      ...(options.quietMs !== undefined && { quietMs: options.quietMs }),
    };
    if (pattern === 'XX') return createInitiator({ ...common, pattern });
    return createInitiator({
      ...common,
      pattern,
      responder: { key: responderStatic.publicKey, keyId },
      payload1: (ownSessionId) => concatenate(ownSessionId, encode('identity')),
    });
  };

  const world: SessionWorld = {
    clock,
    crypto,
    responderStatic,
    initiator: createTestInitiator(runtime),
    toResponder: [],
    toInitiator: [],
    sessions: [],
    ended: [],
    atResponder: [],
    atInitiator: [],
    opens: [],
    lost: [],
    authentications: [],
    responder: createTestResponder(),
    restartResponder() {
      world.responder = createTestResponder();
    },
    otherInitiator: (seed) => {
      const other = createSeededRandom(seed);
      return createTestInitiator({ clock, random: other, crypto: createCrypto(other), log: silentLog });
    },
    settle() {
      while (world.toResponder.length + world.toInitiator.length > 0) {
        for (const frame of world.toResponder.splice(0)) world.responder.receive(ADDRESS, frame);
        for (const frame of world.toInitiator.splice(0)) world.initiator.receive(frame);
      }
    },
    open() {
      world.initiator.connect();
      world.settle();
      const session = world.sessions.at(-1);
      if (session === undefined || !world.initiator.isOpen) throw new Error('no session was opened');
      return session;
    },
  };
  return world;
}

export function concatenate(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** Every variant of the bytes with exactly one bit the other way. */
export function* singleBitFlips(bytes: Uint8Array): Generator<Uint8Array> {
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = new Uint8Array(bytes);
    flipped[bit >>> 3] = (flipped[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
    yield flipped;
  }
}

/** Every proper beginning of the bytes, and the bytes with one more. */
export function* wrongLengths(bytes: Uint8Array): Generator<Uint8Array> {
  for (let length = 0; length < bytes.length; length++) yield bytes.slice(0, length);
  yield concatenate(bytes, new Uint8Array(1));
}
