import type { Address } from '../bindings/bus.ts';
import { CoPilotError } from '../errors.ts';
import type { Cancel, PrivateKey, Runtime } from '../runtime/runtime.ts';
import { ClockJumpDetector } from './clock-jump.ts';
import { createCounters, type SessionCounters } from './counters.ts';
import { type HalfOpen, HalfOpenTable } from './half-open.ts';
import {
  decodeHeader,
  encodeHint,
  encodeMessage,
  type Header,
  sameBytes,
  SESSION_ID_BYTES,
  sessionKey,
} from './header.ts';
import { Handshake, KEY_BYTES, type Pattern, TAG_BYTES } from './noise.ts';
import { encodePrologue, type Prologue } from './prologue.ts';
import { type RateLimit, RateLimiter } from './rate-limiter.ts';
import { PeerSession, type Session } from './session.ts';
import { Transport } from './transport.ts';

/** Bounds of one responder; at each, what comes too much is dropped and counted. */
export interface ResponderLimits {
  /** Unconfirmed handshakes from one bus address; 4. */
  readonly halfOpenPerAddress: number;
  /** Unconfirmed handshakes in all; 1,024. Above it XX forgets the oldest, IK refuses the newest. */
  readonly halfOpen: number;
  /** Confirmed sessions, retiring ones included; 20,000. */
  readonly sessions: number;
  /** Handshakes begun by one bus address; 5, then one per 10 s. */
  readonly handshakes: RateLimit;
  /** Hints and repeated confirmations sent to one bus address; 5, then one per 10 s. */
  readonly hints: RateLimit;
}

const DEFAULT_RESPONDER_LIMITS: ResponderLimits = {
  halfOpenPerAddress: 4,
  halfOpen: 1024,
  sessions: 20_000,
  handshakes: { burst: 5, everyMs: 10_000 },
  hints: { burst: 5, everyMs: 10_000 },
};

/** Why a session ended: asked for, its connection gone, replaced, a day old, or the machine restored from a saved state. */
export type EndReason = 'closed' | 'address-gone' | 'over' | 'clock-jump';

export interface Authenticated<P> {
  readonly principal: P;
  /** The initiator's session id, which its payload announced; 8 bytes. */
  readonly peerSessionId: Uint8Array;
}

export interface ResponderOptions<P> {
  readonly runtime: Runtime;
  readonly pattern: Pattern;
  /** This side's keys by the key id of the header; XX uses id 0. */
  readonly staticKeys: ReadonlyMap<number, PrivateKey>;
  readonly prologue: Prologue;
  /** Payload 2; it announces `sessionId`. In IK the principal is known by then, though not yet confirmed. */
  hello(sessionId: Uint8Array, principal: P | undefined): Uint8Array;
  /**
   * Judges the initiator by its payload (XX: of message 3; IK: of message 1, which anybody may replay, so nothing may change
   * here) and its static key. Undefined refuses in silence.
   */
  authenticate(payload: Uint8Array, remoteStatic: Uint8Array, from: Address): Authenticated<P> | undefined;
  /** Puts a frame on the bus; never throws. */
  send(to: Address, frame: Uint8Array): void;
  /** A session is confirmed: its other side has proved to hold the keys now. */
  onSession(session: Session<P>): void;
  onMessage(session: Session<P>, message: Uint8Array): void;
  onEnd?(session: Session<P>, reason: EndReason): void;
  readonly limits?: Partial<ResponderLimits>;
}

/** The side that is asked for sessions, by many peers at once. */
export interface Responder<P> {
  /** Takes any bytes from the bus; never throws for what they are. */
  receive(from: Address, frame: Uint8Array): void;
  close(session: Session<P>): void;
  /** The bus says the connection behind an address is gone: so are the sessions and handshakes made on it. */
  dropAddress(from: Address): void;
  /** Ends everything, and releases its timer. */
  stop(): void;
  /** Confirmed sessions, retiring ones included. */
  readonly sessionCount: number;
  readonly halfOpenCount: number;
  readonly counters: Readonly<SessionCounters>;
}

const HALF_OPEN_MS = 30_000;
const OVERLAP_MS = 30_000;
const SWEEP_MS = 10_000;
const XX_HELLO_BYTES = KEY_BYTES;
const IK_HELLO_LEAST_BYTES = 2 * (KEY_BYTES + TAG_BYTES);

type Unconfirmed<P> = HalfOpen &
  (
    | { readonly pattern: 'XX'; readonly handshake: Handshake; readonly refusal: { isRefused: boolean } }
    | { readonly pattern: 'IK'; readonly session: PeerSession<P> }
  );

export function createResponder<P>(options: ResponderOptions<P>): Responder<P> {
  return new SessionResponder(options);
}

class SessionResponder<P> implements Responder<P> {
  readonly counters: SessionCounters = createCounters();
  readonly #options: ResponderOptions<P>;
  readonly #limits: ResponderLimits;
  readonly #prologue: Uint8Array;
  readonly #clockJump: ClockJumpDetector;
  readonly #handshakeLimiter: RateLimiter;
  readonly #hintLimiter: RateLimiter;
  readonly #halfOpen: HalfOpenTable<Unconfirmed<P>>;
  readonly #sessions = new Map<string, PeerSession<P>>();
  readonly #byAddress = new Map<Address, Set<PeerSession<P>>>();
  #cancelSweep: Cancel | undefined;
  #stopped = false;

  constructor(options: ResponderOptions<P>) {
    this.#options = options;
    this.#limits = { ...DEFAULT_RESPONDER_LIMITS, ...options.limits };
    this.#prologue = encodePrologue(options.prologue);
    this.#clockJump = new ClockJumpDetector(options.runtime.clock);
    this.#handshakeLimiter = new RateLimiter(this.#limits.handshakes);
    this.#hintLimiter = new RateLimiter(this.#limits.hints);
    this.#halfOpen = new HalfOpenTable({
      perAddress: this.#limits.halfOpenPerAddress,
      total: this.#limits.halfOpen,
      lifetimeMs: HALF_OPEN_MS,
      whenFull: options.pattern === 'XX' ? 'drop-oldest' : 'refuse',
    });
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  get halfOpenCount(): number {
    return this.#halfOpen.size;
  }

  receive(from: Address, frame: Uint8Array): void {
    if (this.#stopped) return;
    const header = decodeHeader(frame);
    switch (header?.kind) {
      case 'hello':
        this.#onHello(from, header);
        return;
      case 'proof':
        this.#onProof(from, header);
        return;
      case 'frame':
        this.#onFrame(from, header);
        return;
      case 'answer':
      case 'unknownSession':
      case undefined:
        this.counters.malformed++;
    }
  }

  close(session: Session<P>): void {
    const own = this.#sessions.get(sessionKey(session.id));
    if (own !== undefined && own === session) this.#end(own, 'closed');
  }

  dropAddress(from: Address): void {
    this.#halfOpen.removeAddress(from);
    for (const session of [...(this.#byAddress.get(from) ?? [])]) this.#end(session, 'address-gone');
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelSweep?.();
    this.#halfOpen.clear();
    for (const session of [...this.#sessions.values()]) this.#end(session, 'closed');
  }

  /** Called by the session. */
  send(session: PeerSession<P>, message: Uint8Array): boolean {
    if (this.#endAfterJump()) return false;
    if (session.isOver(this.#nowMs())) {
      this.#end(session, 'over');
      return false;
    }
    this.#options.send(session.address, session.transport.sealMessage(message));
    return true;
  }

  /** Called by the session. */
  retireAtMs(): number {
    return this.#nowMs() + OVERLAP_MS;
  }

  #onHello(from: Address, header: Header): void {
    const staticKey = this.#options.staticKeys.get(header.keyId);
    if (staticKey === undefined || !this.#hasHelloLength(header.body)) {
      this.counters.malformed++;
      return;
    }
    // Before a new session is made, or the jump would end that one too.
    this.#endAfterJump();
    const nowMs = this.#nowMs();
    if (!this.#handshakeLimiter.take(from, nowMs)) {
      this.counters.rateLimited++;
      return;
    }
    this.#halfOpen.removeExpired(nowMs);
    const repeat = this.#halfOpen.findRepeat(from, header.body);
    if (repeat !== undefined) {
      this.#options.send(from, repeat.answer);
      return;
    }
    const room = this.#halfOpen.makeRoom(from);
    if (room !== 'free') this.counters.halfOpenFull++;
    if (room !== 'refused') this.#answer(from, header, staticKey);
  }

  #hasHelloLength(body: Uint8Array): boolean {
    return this.#options.pattern === 'XX'
      ? body.length === XX_HELLO_BYTES
      : body.length >= IK_HELLO_LEAST_BYTES;
  }

  #answer(from: Address, header: Header, staticKey: PrivateKey): void {
    const record = this.#tryHandshake(() => this.#respond(from, header, staticKey));
    if (record === undefined) return;
    this.#halfOpen.add(record);
    this.#sweepLater();
    this.#options.send(from, record.answer);
  }

  #respond(from: Address, header: Header, staticKey: PrivateKey): Unconfirmed<P> | undefined {
    const { runtime, pattern } = this.#options;
    const handshake = new Handshake({
      crypto: runtime.crypto,
      pattern,
      role: 'responder',
      prologue: this.#prologue,
      staticKey,
    });
    const payload1 = handshake.read(header.body);
    if (payload1 === undefined) {
      this.counters.failedHandshakes++;
      return undefined;
    }
    const identity = pattern === 'IK' ? this.#authenticate(payload1, handshake, from) : undefined;
    if (pattern === 'IK' && identity === undefined) return undefined;
    const sessionId = this.#newSessionId();
    const message2 = handshake.write(this.#options.hello(sessionId, identity?.principal));
    const common: HalfOpen = {
      sessionId,
      from,
      hello: new Uint8Array(header.body),
      answer: encodeMessage('answer', header.body.subarray(0, SESSION_ID_BYTES), message2),
      startedMs: this.#nowMs(),
    };
    if (identity === undefined) return { ...common, pattern: 'XX', handshake, refusal: { isRefused: false } };
    return { ...common, pattern: 'IK', session: this.#createSession(handshake, sessionId, identity, from) };
  }

  #onProof(from: Address, header: Header): void {
    const record = this.#findHalfOpen(header.receiver);
    if (record?.pattern === 'XX') this.#prove(from, header, record);
    else if (record === undefined) this.#onRepeatedProof(from, header);
    else this.counters.malformed++;
  }

  #prove(from: Address, header: Header, record: Unconfirmed<P> & { pattern: 'XX' }): void {
    if (record.refusal.isRefused) return;
    if (this.#isFull()) return;
    const payload3 = record.handshake.read(header.body);
    if (payload3 === undefined) {
      this.counters.failedHandshakes++;
      return;
    }
    const identity = this.#authenticate(payload3, record.handshake, from);
    if (identity === undefined) {
      // Only the initiator itself can have made this message: its record stays, so that repeats cost nothing.
      record.refusal.isRefused = true;
      record.handshake.discard();
      return;
    }
    const session = this.#createSession(record.handshake, record.sessionId, identity, from);
    session.proofDigest = this.#options.runtime.crypto.sha256(header.body);
    this.#halfOpen.remove(record);
    this.#open(session);
    if (session.transport.sealedFrames === 0) this.#sendConfirmation(session);
  }

  /** The initiator has not seen the confirmation; the session is told by its id, the message by its digest. */
  #onRepeatedProof(from: Address, header: Header): void {
    const session = this.#findSession(header.receiver);
    if (session === undefined) {
      this.#hint(from, header.receiver);
      return;
    }
    const digest = session.proofDigest;
    if (digest === undefined || !this.#hintLimiter.take(from, this.#nowMs())) return;
    if (sameBytes(digest, this.#options.runtime.crypto.sha256(header.body))) this.#sendConfirmation(session);
  }

  #onFrame(from: Address, header: Header): void {
    const session = this.#findSession(header.receiver);
    if (session !== undefined) {
      this.#openFrame(session, from, header);
      return;
    }
    const record = this.#findHalfOpen(header.receiver);
    if (record === undefined) this.#hint(from, header.receiver);
    else if (record.pattern === 'IK') this.#confirmByFrame(record, from, header);
    // XX: the frame has overtaken message 3; its sender repeats the request.
    else this.counters.unknownSession++;
  }

  #confirmByFrame(record: Unconfirmed<P> & { pattern: 'IK' }, from: Address, header: Header): void {
    if (this.#isFull()) return;
    this.#openFrame(record.session, from, header, () => {
      this.#halfOpen.remove(record);
      this.#open(record.session);
    });
  }

  #openFrame(session: PeerSession<P>, from: Address, header: Header, verified: () => void = nothing): void {
    const opened = session.transport.open(header);
    switch (opened.kind) {
      case 'forged':
        this.counters.forged++;
        return;
      case 'replayed':
        this.counters.replayed++;
        return;
      case 'unknown-content':
      case 'confirmation':
      case 'message':
        break;
    }
    session.proofDigest = undefined;
    this.#moveTo(session, from);
    verified();
    if (session.isClosed) return;
    if (opened.kind === 'message') this.#options.onMessage(session, opened.body);
    else if (opened.kind === 'confirmation') this.#sendConfirmation(session);
    else this.counters.unknownContent++;
  }

  #authenticate(payload: Uint8Array, handshake: Handshake, from: Address): Authenticated<P> | undefined {
    const remoteStatic = handshake.remoteStatic?.raw;
    const identity = remoteStatic === undefined ? undefined : this.#judge(payload, remoteStatic, from);
    if (identity?.peerSessionId.length === SESSION_ID_BYTES) return identity;
    this.counters.refusedIdentities++;
    return undefined;
  }

  #judge(payload: Uint8Array, remoteStatic: Uint8Array, from: Address): Authenticated<P> | undefined {
    try {
      return this.#options.authenticate(payload, remoteStatic, from);
    } catch (error) {
      // The payload is the initiator's, who may be anybody: whatever it provokes is a refusal.
      this.#options.runtime.log.warn({ error, from }, 'an initiator was refused');
      return undefined;
    }
  }

  #tryHandshake<T>(action: () => T): T | undefined {
    try {
      return action();
    } catch (error) {
      if (!(error instanceof CoPilotError) || error.code !== 'HANDSHAKE_FAILED') throw error;
      this.counters.failedHandshakes++;
      return undefined;
    }
  }

  #createSession(
    handshake: Handshake,
    sessionId: Uint8Array,
    identity: Authenticated<P>,
    from: Address,
  ): PeerSession<P> {
    const transport = new Transport({
      crypto: this.#options.runtime.crypto,
      keys: handshake.finish(),
      peerSessionId: new Uint8Array(identity.peerSessionId),
      startedMs: this.#nowMs(),
    });
    return new PeerSession<P>(this, sessionId, identity.principal, from, transport);
  }

  #open(session: PeerSession<P>): void {
    this.#sessions.set(sessionKey(session.id), session);
    this.#index(session);
    this.counters.opened++;
    this.#sweepLater();
    this.#options.onSession(session);
  }

  #end(session: PeerSession<P>, reason: EndReason): void {
    if (session.isClosed) return;
    session.isClosed = true;
    this.#sessions.delete(sessionKey(session.id));
    this.#unindex(session);
    this.#options.onEnd?.(session, reason);
  }

  #isFull(): boolean {
    if (this.#sessions.size < this.#limits.sessions) return false;
    this.counters.sessionsFull++;
    return true;
  }

  #findSession(id: Uint8Array): PeerSession<P> | undefined {
    const session = this.#sessions.get(sessionKey(id));
    if (session === undefined || !session.isOver(this.#nowMs())) return session;
    this.#end(session, 'over');
    return undefined;
  }

  #findHalfOpen(id: Uint8Array): Unconfirmed<P> | undefined {
    this.#halfOpen.removeExpired(this.#nowMs());
    return this.#halfOpen.find(id);
  }

  #newSessionId(): Uint8Array {
    for (;;) {
      const id = this.#options.runtime.random.bytes(SESSION_ID_BYTES);
      if (!this.#sessions.has(sessionKey(id)) && this.#halfOpen.find(id) === undefined) return id;
    }
  }

  #sendConfirmation(session: PeerSession<P>): void {
    if (this.#endAfterJump() || session.isClosed) return;
    this.#options.send(session.address, session.transport.sealConfirmation());
  }

  #hint(from: Address, unknown: Uint8Array): void {
    this.counters.unknownSession++;
    if (!this.#hintLimiter.take(from, this.#nowMs())) return;
    this.counters.hints++;
    this.#options.send(from, encodeHint(unknown));
  }

  #moveTo(session: PeerSession<P>, from: Address): void {
    if (session.address === from) return;
    const isIndexed = this.#unindex(session);
    session.address = from;
    if (isIndexed) this.#index(session);
  }

  #index(session: PeerSession<P>): void {
    const ofAddress = this.#byAddress.get(session.address);
    if (ofAddress === undefined) this.#byAddress.set(session.address, new Set([session]));
    else ofAddress.add(session);
  }

  #unindex(session: PeerSession<P>): boolean {
    const ofAddress = this.#byAddress.get(session.address);
    const wasThere = ofAddress?.delete(session) ?? false;
    if (ofAddress?.size === 0) this.#byAddress.delete(session.address);
    return wasThere;
  }

  #endAfterJump(): boolean {
    if (!this.#clockJump.hasJumped()) return false;
    this.#halfOpen.clear();
    for (const session of [...this.#sessions.values()]) this.#end(session, 'clock-jump');
    return true;
  }

  /** Memory of what has ended is freed soon, whether or not anybody asks again. */
  #sweepLater(): void {
    this.#cancelSweep ??= this.#options.runtime.clock.schedule(SWEEP_MS, () => {
      this.#cancelSweep = undefined;
      this.#sweep();
    });
  }

  #sweep(): void {
    const nowMs = this.#nowMs();
    this.#halfOpen.removeExpired(nowMs);
    for (const session of [...this.#sessions.values()]) if (session.isOver(nowMs)) this.#end(session, 'over');
    if (this.#sessions.size + this.#halfOpen.size > 0 && !this.#stopped) this.#sweepLater();
  }

  #nowMs(): number {
    return this.#options.runtime.clock.monotonicMs();
  }
}

function nothing(): void {
  // The session was open already.
}
