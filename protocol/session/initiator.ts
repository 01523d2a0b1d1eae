import { MAX_FRAME_BYTES } from '../bindings/bus.ts';
import { CoPilotError } from '../errors.ts';
import type { Cancel, PrivateKey, PublicKey, Runtime } from '../runtime/runtime.ts';
import { ClockJumpDetector } from './clock-jump.ts';
import { createCounters, type SessionCounters } from './counters.ts';
import {
  decodeHeader,
  encodeHello,
  encodeMessage,
  type Header,
  sameBytes,
  SESSION_ID_BYTES,
} from './header.ts';
import { Handshake } from './noise.ts';
import { encodePrologue, type Prologue } from './prologue.ts';
import { type Opened, RENEW_AFTER_MS, Transport } from './transport.ts';

/** Why there is no session any more: the machine was restored from a saved state, a day passed, or `disconnect` was called. */
export type LostReason = 'clock-jump' | 'expired' | 'disconnected';

interface CommonOptions {
  readonly runtime: Runtime;
  readonly staticKey: PrivateKey;
  readonly prologue: Prologue;
  /**
   * Judges message 2: its payload, the responder's static key, and the session id this side announces. Undefined drops the
   * message and waits for another. `payload3` (XX) carries `ownSessionId`; `sessionId` is the responder's.
   */
  onResponderHello(
    payload2: Uint8Array,
    responderStatic: Uint8Array,
    ownSessionId: Uint8Array,
  ): ResponderAccepted | undefined;
  /** Puts a frame on the bus; never throws, loss is no concern of the caller. */
  send(frame: Uint8Array): void;
  /** A session is there to send on: the first, or a new one that takes the place of the older. */
  onOpen(): void;
  onMessage(message: Uint8Array): void;
  /** The session is gone and no other is there; except after `disconnect`, a handshake is under way. */
  onLost(reason: LostReason): void;
  /**
   * Having heard nothing for about so long, it asks for a sign of life, and after three in vain for another session. Left out, it
   * waits for ever.
   */
  readonly quietMs?: number;
}

export interface ResponderAccepted {
  /** XX only: the identity, this side's session id, perhaps the first request. */
  readonly payload3?: Uint8Array;
  /** What the responder announced in payload 2; 8 bytes. */
  readonly sessionId: Uint8Array;
}

/** `payload1` is handed this side's session id, which it must announce. */
export type InitiatorOptions =
  | (CommonOptions & { readonly pattern: 'XX' })
  | (CommonOptions & {
      readonly pattern: 'IK';
      readonly responder: { readonly key: PublicKey; readonly keyId: number };
      payload1(ownSessionId: Uint8Array): Uint8Array;
    });

/** The side that asks for sessions; keeps one alive, renewed and confirmed, over a bus that loses and repeats. */
export interface Initiator {
  /** Starts a handshake; a session that is there stays usable until the new one is confirmed. */
  connect(): void;
  /** Takes any bytes from the bus; never throws for what they are. */
  receive(frame: Uint8Array): void;
  /** Seals and sends; false where there is no session. Throws `FRAME_TOO_LARGE` above 32 KiB. */
  send(message: Uint8Array): boolean;
  /** The connection was lost: sessions end and no handshake is tried until `connect`. */
  disconnect(): void;
  /** For good. */
  close(): void;
  readonly isOpen: boolean;
  readonly counters: Readonly<SessionCounters>;
}

const NO_BYTES = new Uint8Array(0);
const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 10_000;
/** After so long a responder has forgotten a session that was not confirmed. */
const CONFIRM_WITHIN_MS = 30_000;
/** How long the older session still receives. */
const OVERLAP_MS = 30_000;
const HINT_INTERVAL_MS = 10_000;
/** Signs of life that are asked for in vain before the session itself is in doubt. */
const ASKS_IN_VAIN = 3;
/** Renewals are spread over this part of the hour, so that agents that came together do not return together. */
const RENEWAL_SPREAD = 0.1;

/** A session as this side holds it. */
interface Link {
  readonly ownSessionId: Uint8Array;
  readonly transport: Transport;
}

/** A handshake under way: waiting for message 2; for the first frame after message 3; or (IK) after message 2. */
type Attempt =
  | {
      readonly stage: 'hello';
      readonly handshake: Handshake;
      readonly ownSessionId: Uint8Array;
      readonly ephemeral: Uint8Array;
      readonly frame: Uint8Array;
    }
  | { readonly stage: 'proof'; readonly link: Link; readonly frame: Uint8Array; readonly startedMs: number }
  | { readonly stage: 'confirm'; readonly link: Link; readonly startedMs: number };

export function createInitiator(options: InitiatorOptions): Initiator {
  return new SessionInitiator(options);
}

class SessionInitiator implements Initiator {
  readonly counters: SessionCounters = createCounters();
  readonly #options: InitiatorOptions;
  readonly #prologue: Uint8Array;
  readonly #clockJump: ClockJumpDetector;
  #attempt: Attempt | undefined;
  #current: Link | undefined;
  #previous: { readonly link: Link; readonly untilMs: number } | undefined;
  #lastHintMs = Number.NEGATIVE_INFINITY;
  #cancelRetry: Cancel = nothing;
  #cancelRenewal: Cancel = nothing;
  #cancelWatch: Cancel = nothing;
  #patienceMs = 0;
  #heardMs = 0;
  /** Signs of life asked for since then. */
  #asked = 0;
  #closed = false;

  constructor(options: InitiatorOptions) {
    this.#options = options;
    this.#prologue = encodePrologue(options.prologue);
    this.#clockJump = new ClockJumpDetector(options.runtime.clock);
  }

  get isOpen(): boolean {
    return this.#current !== undefined;
  }

  connect(): void {
    if (this.#closed) return;
    if (this.#clockJump.hasJumped()) this.#endSessions('clock-jump');
    this.#clockJump.restart();
    this.#abandonAttempt();
    const attempt = this.#begin();
    this.#attempt = attempt;
    this.#options.send(attempt.frame);
    this.#retryLater(attempt, 0);
  }

  receive(frame: Uint8Array): void {
    if (this.#closed) return;
    const header = decodeHeader(frame);
    switch (header?.kind) {
      case 'answer':
        this.#onAnswer(header);
        return;
      case 'frame':
        this.#onFrame(header);
        return;
      case 'unknownSession':
        this.#onHint(header);
        return;
      case 'hello':
      case 'proof':
      case undefined:
        this.counters.malformed++;
    }
  }

  send(message: Uint8Array): boolean {
    return this.#sendSealed((transport) => transport.sealMessage(message));
  }

  disconnect(): void {
    this.#abandonAttempt();
    this.#endSessions('disconnected');
  }

  close(): void {
    this.#closed = true;
    this.#abandonAttempt();
    this.#forgetSessions();
  }

  #begin(): Attempt & { stage: 'hello' } {
    const options = this.#options;
    const { crypto, random } = options.runtime;
    const ownSessionId = random.bytes(SESSION_ID_BYTES);
    const common = {
      crypto,
      role: 'initiator',
      prologue: this.#prologue,
      staticKey: options.staticKey,
    } as const;
    const handshake =
      options.pattern === 'XX'
        ? new Handshake({ ...common, pattern: 'XX' })
        : new Handshake({ ...common, pattern: 'IK', remoteStatic: options.responder.key });
    const payload = options.pattern === 'XX' ? NO_BYTES : options.payload1(ownSessionId);
    const keyId = options.pattern === 'XX' ? 0 : options.responder.keyId;
    const message = handshake.write(payload);
    const ephemeral = message.slice(0, SESSION_ID_BYTES);
    return { stage: 'hello', handshake, ownSessionId, ephemeral, frame: encodeHello(keyId, message) };
  }

  /** The first message 2 that verifies and is accepted counts; others find no attempt that waits for one. */
  #onAnswer(header: Header): void {
    const attempt = this.#attempt;
    if (attempt?.stage !== 'hello' || !sameBytes(header.receiver, attempt.ephemeral)) return;
    if (this.#reconnectAfterJump()) return;
    const handshake = attempt.handshake.fork();
    const payload2 = handshake.read(header.body);
    if (payload2 === undefined) {
      handshake.discard();
      this.counters.failedHandshakes++;
      return;
    }
    const accepted = this.#judge(payload2, handshake, attempt.ownSessionId);
    if (accepted === undefined) {
      handshake.discard();
      this.counters.refusedIdentities++;
      return;
    }
    attempt.handshake.discard();
    this.#cancelRetry();
    if (this.#options.pattern === 'XX') this.#prove(handshake, accepted, attempt.ownSessionId);
    else this.#openUnconfirmed(handshake, accepted, attempt.ownSessionId);
  }

  #judge(
    payload2: Uint8Array,
    handshake: Handshake,
    ownSessionId: Uint8Array,
  ): ResponderAccepted | undefined {
    const responderStatic = handshake.remoteStatic?.raw;
    if (responderStatic === undefined) return undefined;
    try {
      const accepted = this.#options.onResponderHello(payload2, responderStatic, ownSessionId);
      return accepted?.sessionId.length === SESSION_ID_BYTES ? accepted : undefined;
    } catch (error) {
      // The payload is the responder's, and until it is judged the responder may be anybody.
      this.#options.runtime.log.warn({ error }, 'a responder hello was refused');
      return undefined;
    }
  }

  /** XX: message 3, byte-identical each time, until a frame shows that it arrived. */
  #prove(handshake: Handshake, accepted: ResponderAccepted, ownSessionId: Uint8Array): void {
    const message = handshake.write(accepted.payload3 ?? NO_BYTES);
    const frame = encodeMessage('proof', accepted.sessionId, message);
    if (frame.length > MAX_FRAME_BYTES)
      throw new CoPilotError('FRAME_TOO_LARGE', 'payload 3 does not fit into a frame');
    const link = this.#link(handshake, accepted, ownSessionId);
    this.#attempt = { stage: 'proof', link, frame, startedMs: this.#nowMs() };
    this.#options.send(frame);
    this.#retryLater(this.#attempt, 0);
  }

  /** IK: message 2 proved the responder; it in turn believes in this side once a frame opens. */
  #openUnconfirmed(handshake: Handshake, accepted: ResponderAccepted, ownSessionId: Uint8Array): void {
    const link = this.#link(handshake, accepted, ownSessionId);
    this.#attempt = { stage: 'confirm', link, startedMs: this.#nowMs() };
    this.#options.send(link.transport.sealConfirmation());
    this.#retryLater(this.#attempt, 0);
    this.#adopt(link);
  }

  #link(handshake: Handshake, accepted: ResponderAccepted, ownSessionId: Uint8Array): Link {
    const transport = new Transport({
      crypto: this.#options.runtime.crypto,
      keys: handshake.finish(),
      peerSessionId: new Uint8Array(accepted.sessionId),
      startedMs: this.#nowMs(),
    });
    return { ownSessionId, transport };
  }

  #adopt(link: Link): void {
    if (this.#current !== undefined)
      this.#previous = { link: this.#current, untilMs: this.#nowMs() + OVERLAP_MS };
    this.#current = link;
    this.counters.opened++;
    this.#scheduleRenewal();
    this.#heard();
    // Not in step with others that came together.
    this.#patienceMs = (this.#options.quietMs ?? 0) * (1 - 0.25 * this.#fraction());
    this.#watch();
    this.#options.onOpen();
  }

  #onFrame(header: Header): void {
    const link = this.#linkOf(header.receiver);
    if (link === undefined || link.transport.isOver(this.#nowMs())) {
      this.counters.unknownSession++;
      return;
    }
    const opened = link.transport.open(header);
    if (!this.#count(opened)) return;
    if (link === this.#current) this.#heard();
    this.#confirm(link);
    if (opened.kind === 'message' && !this.#closed) this.#options.onMessage(opened.body);
    this.#renewIfDue(link);
  }

  #linkOf(sessionId: Uint8Array): Link | undefined {
    const attempt = this.#attempt;
    if (attempt?.stage === 'proof' && sameBytes(sessionId, attempt.link.ownSessionId)) return attempt.link;
    if (this.#current !== undefined && sameBytes(sessionId, this.#current.ownSessionId)) return this.#current;
    const previous = this.#previous;
    if (previous === undefined || !sameBytes(sessionId, previous.link.ownSessionId)) return undefined;
    return this.#nowMs() <= previous.untilMs ? previous.link : undefined;
  }

  /** Whether the frame verified. */
  #count(opened: Opened): boolean {
    switch (opened.kind) {
      case 'message':
      case 'confirmation':
        return true;
      case 'unknown-content':
        this.counters.unknownContent++;
        return true;
      case 'forged':
        this.counters.forged++;
        return false;
      case 'replayed':
        this.counters.replayed++;
        return false;
    }
  }

  /** A frame of the responder opened: it has the keys, so nothing needs repeating any more. */
  #confirm(link: Link): void {
    const attempt = this.#attempt;
    if (attempt === undefined || attempt.stage === 'hello' || attempt.link !== link) return;
    this.#abandonAttempt();
    if (attempt.stage === 'proof') this.#adopt(link);
  }

  /** Anybody can say that a session is unknown: it is worth one handshake now and then, and nothing is given up for it. */
  #onHint(header: Header): void {
    const attempt = this.#attempt;
    const proposed = attempt?.stage === 'proof' ? attempt.link : undefined;
    const isOurs = [proposed, this.#current].some(
      (link) => link !== undefined && sameBytes(header.receiver, link.transport.peerSessionId),
    );
    if (!isOurs || attempt?.stage === 'hello') return;
    const nowMs = this.#nowMs();
    if (nowMs - this.#lastHintMs < HINT_INTERVAL_MS) return;
    this.#lastHintMs = nowMs;
    this.counters.hints++;
    this.connect();
  }

  #retryLater(attempt: Attempt, tries: number): void {
    const longestMs = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** tries);
    this.#cancelRetry = this.#options.runtime.clock.schedule(
      longestMs * (1 - 0.25 * this.#fraction()),
      () => {
        if (this.#attempt === attempt) this.#retry(attempt, tries + 1);
      },
    );
  }

  #retry(attempt: Attempt, tries: number): void {
    if (this.#reconnectAfterJump()) return;
    if (attempt.stage !== 'hello' && this.#nowMs() - attempt.startedMs >= CONFIRM_WITHIN_MS) {
      this.connect();
      return;
    }
    this.#options.send(
      attempt.stage === 'confirm' ? attempt.link.transport.sealConfirmation() : attempt.frame,
    );
    this.#retryLater(attempt, tries);
  }

  #scheduleRenewal(): void {
    this.#cancelRenewal();
    const inMs = RENEW_AFTER_MS * (1 - RENEWAL_SPREAD * this.#fraction());
    this.#cancelRenewal = this.#options.runtime.clock.schedule(inMs, () => {
      if (this.#attempt === undefined) this.connect();
    });
  }

  #renewIfDue(link: Link): void {
    if (link !== this.#current || this.#attempt !== undefined) return;
    if (link.transport.needsRehandshake(this.#nowMs())) this.connect();
  }

  #sendSealed(seal: (transport: Transport) => Uint8Array): boolean {
    if (this.#reconnectAfterJump()) return false;
    const link = this.#usable();
    if (link === undefined) return false;
    this.#options.send(seal(link.transport));
    this.#renewIfDue(link);
    return true;
  }

  #heard(): void {
    this.#heardMs = this.#nowMs();
    this.#asked = 0;
  }

  /** One timer a session, whatever is heard meanwhile. */
  #watch(): void {
    this.#cancelWatch();
    if (this.#options.quietMs === undefined) return;
    const dueMs = this.#signDueMs;
    this.#cancelWatch = this.#options.runtime.clock.schedule(dueMs - this.#nowMs(), () => {
      if (dueMs === this.#signDueMs) this.#askForSign();
      if (this.#current !== undefined) this.#watch();
    });
  }

  get #signDueMs(): number {
    return this.#heardMs + (this.#asked + 1) * this.#patienceMs;
  }

  #askForSign(): void {
    const isInDoubt = this.#asked > 0 && this.#asked % ASKS_IN_VAIN === 0;
    this.#asked++;
    if (isInDoubt && this.#attempt === undefined) this.connect();
    this.#sendSealed((transport) => transport.sealConfirmation());
  }

  /** The session to send on, unless it has had its day. */
  #usable(): Link | undefined {
    if (this.#current?.transport.isOver(this.#nowMs()) !== true) return this.#current;
    this.#endSessions('expired');
    if (this.#attempt === undefined) this.connect();
    return undefined;
  }

  #reconnectAfterJump(): boolean {
    if (!this.#clockJump.hasJumped()) return false;
    this.#endSessions('clock-jump');
    this.connect();
    return true;
  }

  #endSessions(reason: LostReason): void {
    const hadSession = this.#current !== undefined;
    this.#forgetSessions();
    if (hadSession) this.#options.onLost(reason);
  }

  #forgetSessions(): void {
    this.#cancelRenewal();
    this.#cancelWatch();
    this.#current = undefined;
    this.#previous = undefined;
  }

  #abandonAttempt(): void {
    this.#cancelRetry();
    if (this.#attempt?.stage === 'hello') this.#attempt.handshake.discard();
    this.#attempt = undefined;
  }

  #nowMs(): number {
    return this.#options.runtime.clock.monotonicMs();
  }

  /** From 0 to 1. */
  #fraction(): number {
    return (this.#options.runtime.random.bytes(1)[0] ?? 0) / 255;
  }
}

function nothing(): void {
  // There is nothing to cancel yet.
}
