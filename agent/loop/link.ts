import { BROKER_ADDRESS } from '../../protocol/bindings/bus.ts';
import type { Address, Bus } from '../../protocol/bindings/bus.ts';
import { base64url, bytesOf, fromHex, hex } from '../../protocol/encoding.ts';
import { toCoPilotError } from '../../protocol/errors.ts';
import type {
  Attempt,
  BrokerHello,
  Call,
  Called,
  Capabilities,
  Certificate,
  Job,
  None,
  Notice,
  Outputs,
  Parted,
  Parts,
  Released,
  Renewed,
  Reported,
  Verdicts,
  Welcome,
  AgentHello,
  Release,
  Renew,
  Report,
  Request,
} from '../../protocol/generated/types.ts';
import { isBrokerHello } from '../../protocol/generated/validators.js';
import { decodeAs, decodeBrokerMessage, encodeMessage, PROTOCOL_VERSION } from '../../protocol/messages.ts';
import type { BrokerMessage } from '../../protocol/messages.ts';
import type { Cancel, PrivateKey, PublicKey, Runtime } from '../../protocol/runtime/runtime.ts';
import { createInitiator } from '../../protocol/session/initiator.ts';
import type { Initiator, ResponderAccepted } from '../../protocol/session/initiator.ts';
import { judgeCertificate } from '../../protocol/tokens.ts';
import type { Judged } from '../../protocol/tokens.ts';
import { Asks, MAX_RESEND_MS } from './asks.ts';
import type { Answer } from './asks.ts';
import { meaningOf } from './refusals.ts';
import { sleep, backOffMs } from './wait.ts';

/** A message without what the link gives it. */
export type Body<M> = Omit<M, 'kind' | 'slot' | 'counter'>;

/** What answers something that was asked. */
type Answering = Exclude<BrokerMessage, { readonly kind: 'welcome' | 'farewell' | 'notice' | 'error' }>;

export interface LinkOptions {
  readonly runtime: Runtime;
  readonly bus: Bus;
  /** The agent's X25519 key. */
  readonly sessionKey: PrivateKey;
  readonly installation: string;
  /** The installation's Ed25519 key, learnt at enrolment: no broker is believed that it did not certify. */
  readonly certifier: PublicKey;
  /** Those that are believed now, where that is more than one or may change. */
  readonly certifiers?: () => readonly PublicKey[];
  /** A random id of this start of the agent. */
  readonly start: string;
  /** The identity to show in the next handshake. */
  readonly identity: () => string;
  /** The broker says that the identity has ended; resolves once there is a new one. A rejection is tried again. */
  readonly renewIdentity: () => Promise<void>;
  readonly onWelcome: (welcome: Welcome) => void;
  readonly onVerdicts: (verdicts: Verdicts) => void;
  readonly onNotice: (command: Notice['command']) => void;
  /** Final: the broker will not serve this start. */
  readonly onFarewell: (code: string, message: string) => void;
  /** A job for a slot that does not wait for one (any more). */
  readonly onStray: (job: Job) => void;
  readonly onState: (state: LinkState) => void;
}

export type LinkState = 'connecting' | 'up';

const RESEND_MS = 5_000;
const WELCOME_WITHIN_MS = 15_000;
const RECONNECT_INTERVAL_MS = 10_000;
/** A bus server tells nobody that a broker has died: whoever waits there for work would not hear of it. */
const QUIET_MS = 20_000;
const RENEWAL_SLOT = 0;
const HELLO_FRAME = 1;

/** The agent's one conversation with the broker: sessions, counters, repeats and refusals, below typed questions. */
export class Link {
  readonly #options: LinkOptions;
  readonly #initiator: Initiator;
  readonly #asks: Asks;
  readonly #closing = new AbortController();
  #brokerAddress: Address = BROKER_ADDRESS;
  #maxSlots = 1;
  #welcomed = false;
  #cancelWelcomeWait: Cancel = () => undefined;
  #lastReconnectMs = Number.NEGATIVE_INFINITY;
  #reconnectPending = false;
  #cancelReconnect: Cancel = () => undefined;
  #greeting = false;
  #renewing = false;

  constructor(options: LinkOptions) {
    this.#options = options;
    const { runtime, bus } = options;
    this.#asks = new Asks({
      clock: runtime.clock,
      random: runtime.random,
      send: (message) => this.#welcomed && this.#initiator.send(encodeMessage(message)),
      onSilence: () => {
        this.#reconnect();
      },
    });
    this.#initiator = createInitiator({
      runtime,
      pattern: 'XX',
      staticKey: options.sessionKey,
      prologue: { installation: options.installation, responderRole: 'broker' },
      onResponderHello: (payload, responderStatic, ownSessionId) =>
        this.#acceptBroker(payload, responderStatic, ownSessionId),
      send: (frame) => {
        this.#sendFrame(frame);
      },
      onOpen: () => {
        this.#awaitWelcome();
      },
      onMessage: (bytes) => {
        this.#receive(bytes);
      },
      onLost: () => {
        this.#lost();
      },
      quietMs: QUIET_MS,
    });
    bus.onFrame((_from, frame) => {
      this.#initiator.receive(frame);
    });
    bus.onConnection((state) => {
      if (state === 'up') this.connect();
      else this.#disconnected();
    });
    bus.onGone((address) => {
      if (address === this.#brokerAddress && address !== BROKER_ADDRESS) this.#reconnect();
    });
  }

  /** Most slots the broker serves; known from the first welcome on. */
  get maxSlots(): number {
    return this.#maxSlots;
  }

  /** Whether something asked in the slot is unanswered. */
  isBusy(slot: number): boolean {
    return this.#asks.isBusy(slot);
  }

  /** The bus has started. Buses that were up from the beginning need not have said so. */
  begin(): void {
    if (!this.#greeting) this.connect();
  }

  /** Sessions made with the old identity end with it. */
  identityRenewed(): void {
    if (!this.#renewing && this.#greeting) this.connect();
  }

  /** A new handshake; a session that is there serves until the new one does. */
  connect(): void {
    if (this.#closing.signal.aborted) return;
    this.#greeting = true;
    this.#initiator.connect();
  }

  /** Ends everything; open questions are given up. */
  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#cancelWelcomeWait();
    this.#cancelReconnect();
    this.#asks.close();
    this.#initiator.close();
  }

  /** Asks for work; may stay unanswered for long, while it is parked. */
  request(slot: number, body: Body<Request>, signal: AbortSignal): Promise<Answer<Job | None>> {
    return this.#asks.ask({
      slot,
      build: (counter) => ({ kind: 'request', slot, counter, ...body }),
      accept: (message) => (message.kind === 'job' || message.kind === 'none' ? message : undefined),
      signal,
      resendMs: MAX_RESEND_MS,
    });
  }

  /** `withinMs` is how soon an answer is needed: the same is sent again well before. */
  renew(body: Body<Renew>, withinMs: number, signal: AbortSignal): Promise<Answer<Renewed>> {
    return this.#asks.ask({
      slot: RENEWAL_SLOT,
      build: (counter) => ({ kind: 'renew', slot: RENEWAL_SLOT, counter, ...body }),
      accept: (message) => (message.kind === 'renewed' ? message : undefined),
      signal,
      resendMs: Math.min(RESEND_MS, withinMs / 4),
    });
  }

  outputs(slot: number, body: Body<Outputs>, signal: AbortSignal): Promise<Answer<Capabilities>> {
    return this.#asks.ask({
      slot,
      build: (counter) => ({ kind: 'outputs', slot, counter, ...body }),
      accept: (message) => (message.kind === 'capabilities' && isFor(message, body) ? message : undefined),
      signal,
      resendMs: RESEND_MS,
    });
  }

  report(slot: number, body: Body<Report>, signal: AbortSignal): Promise<Answer<Reported>> {
    return this.#asks.ask({
      slot,
      build: (counter) => ({ kind: 'report', slot, counter, ...body }),
      accept: (message) => (message.kind === 'reported' && isFor(message, body) ? message : undefined),
      signal,
      resendMs: RESEND_MS,
    });
  }

  release(slot: number, body: Body<Release>, signal: AbortSignal): Promise<Answer<Released>> {
    return this.#asks.ask({
      slot,
      build: (counter) => ({ kind: 'release', slot, counter, ...body }),
      accept: (message) => (message.kind === 'released' && isFor(message, body) ? message : undefined),
      signal,
      resendMs: RESEND_MS,
    });
  }

  /** Asks the adapter of a live attempt's job. */
  call(slot: number, body: Body<Call>, signal: AbortSignal): Promise<Answer<Called>> {
    return this.#asks.ask({
      slot,
      build: (counter) => ({ kind: 'call', slot, counter, ...body }),
      accept: (message) => (message.kind === 'called' && isFor(message, body) ? message : undefined),
      signal,
      resendMs: RESEND_MS,
    });
  }

  /** Takes or finishes parts of a live attempt's job. */
  parts(slot: number, body: Body<Parts>, signal: AbortSignal): Promise<Answer<Parted>> {
    return this.#asks.ask({
      slot,
      build: (counter) => ({ kind: 'parts', slot, counter, ...body }),
      accept: (message) => (message.kind === 'parted' && isFor(message, body) ? message : undefined),
      signal,
      resendMs: RESEND_MS,
    });
  }

  /** Judges handshake message 2: certified by our installation, for the very key the handshake used (docs/protocol.md, S). */
  #acceptBroker(
    payload: Uint8Array,
    responderStatic: Uint8Array,
    ownSessionId: Uint8Array,
  ): ResponderAccepted | undefined {
    const { runtime, certifier, installation } = this.#options;
    const certifiers = this.#options.certifiers?.() ?? [certifier];
    const hello: BrokerHello = decodeAs(payload, isBrokerHello);
    const judged = certifiers
      .map((key) => judgeCertificate(runtime.crypto, key, hello.certificate, runtime.clock.wallMs()))
      .find(({ kind }) => kind !== 'invalid') ?? { kind: 'invalid' };
    const fault = brokerFault(judged, hello, installation, responderStatic);
    if (judged.kind !== 'valid' || fault !== undefined) {
      runtime.log.warn({ fault }, 'a broker was not believed');
      return undefined;
    }
    this.#brokerAddress = judged.claims.address;
    this.#maxSlots = hello.maxSlots;
    return { payload3: this.#hello(ownSessionId), sessionId: fromHex(hello.session) };
  }

  #hello(ownSessionId: Uint8Array): Uint8Array {
    const hello: AgentHello = {
      kind: 'agent-hello',
      identity: this.#options.identity(),
      session: hex(ownSessionId),
      version: PROTOCOL_VERSION,
      start: this.#options.start,
    };
    return bytesOf(JSON.stringify(hello));
  }

  /** Message 1 goes to the shared address, whatever follows to the instance that answered it. */
  #sendFrame(frame: Uint8Array): void {
    const to = frame[0] === HELLO_FRAME ? BROKER_ADDRESS : this.#brokerAddress;
    this.#options.bus.send(to, frame).catch((caught: unknown) => {
      const { code } = toCoPilotError(caught);
      this.#options.runtime.log.debug({ errorCode: code }, 'the bus did not take a frame');
      if (code === 'UNREACHABLE' && to !== BROKER_ADDRESS) this.#reconnect();
    });
  }

  #disconnected(): void {
    this.#greeting = false;
    this.#initiator.disconnect();
  }

  #awaitWelcome(): void {
    this.#cancelWelcomeWait();
    this.#cancelWelcomeWait = this.#options.runtime.clock.schedule(WELCOME_WITHIN_MS, () => {
      this.connect();
    });
  }

  #lost(): void {
    this.#cancelWelcomeWait();
    if (this.#welcomed) this.#options.onState('connecting');
    this.#welcomed = false;
  }

  #receive(bytes: Uint8Array): void {
    if (this.#closing.signal.aborted) return;
    let message: BrokerMessage;
    try {
      message = decodeBrokerMessage(bytes);
    } catch (caught) {
      const { code, message: reason } = toCoPilotError(caught);
      this.#options.runtime.log.warn(
        { errorCode: code, reason },
        'a message of the broker was not understood',
      );
      return;
    }
    this.#dispatch(message);
  }

  #dispatch(message: BrokerMessage): void {
    switch (message.kind) {
      case 'welcome':
        this.#onWelcome(message);
        return;
      case 'farewell':
        this.#onFarewell(message.code, message.message);
        return;
      case 'notice':
        this.#options.onNotice(message.command);
        return;
      case 'error':
        this.#onError(message.slot, message.counter, message.code, message.message);
        return;
      default:
        this.#onAnswer(message);
    }
  }

  #onWelcome(welcome: Welcome): void {
    this.#cancelWelcomeWait();
    if (!this.#welcomed) this.#options.onState('up');
    this.#welcomed = true;
    // Counters first: whatever is asked because of the welcome must already know them.
    this.#asks.resume(welcome.slots);
    this.#options.onVerdicts(welcome.verdicts);
    this.#options.onWelcome(welcome);
  }

  /** Verdicts count only in an answer to something we asked: a repeated frame must not bring old ones back. */
  #onAnswer(message: Answering): void {
    if (this.#asks.isOpen(message.slot, message.counter)) {
      if ('verdicts' in message) this.#options.onVerdicts(message.verdicts);
      this.#asks.settle(message);
    } else if (message.kind === 'job') this.#options.onStray(message);
  }

  #onError(slot: number, counter: number, code: string, message: string): void {
    switch (meaningOf(code)) {
      case 'refused':
        this.#asks.refuse(slot, counter, code, message);
        return;
      case 'again':
        this.#asks.postpone(slot, counter);
        return;
      case 'renumber':
        this.#reconnect();
        return;
      case 'renew-identity':
      case 'farewell':
        this.#onFarewell(code, message);
    }
  }

  #onFarewell(code: string, message: string): void {
    if (meaningOf(code) === 'farewell') this.#options.onFarewell(code, message);
    else if (meaningOf(code) === 'renew-identity') void this.#renewIdentity();
    else this.#reconnect();
  }

  async #renewIdentity(): Promise<void> {
    if (this.#renewing) return;
    this.#renewing = true;
    const { clock, random } = this.#options.runtime;
    for (let tries = 0; !this.#closing.signal.aborted; tries++) {
      try {
        await this.#options.renewIdentity();
        break;
      } catch (caught) {
        const { code } = toCoPilotError(caught);
        this.#options.runtime.log.warn({ errorCode: code }, 'the identity was not renewed; trying again');
        await sleep(clock, backOffMs(random, tries, RESEND_MS, MAX_RESEND_MS), this.#closing.signal);
      }
    }
    this.#renewing = false;
    this.connect();
  }

  /** A new handshake, but not more often than every ten seconds: whatever asks for it may ask again and again. */
  #reconnect(): void {
    if (this.#reconnectPending) return;
    this.#reconnectPending = true;
    const { clock } = this.#options.runtime;
    const waitMs = Math.max(0, this.#lastReconnectMs + RECONNECT_INTERVAL_MS - clock.monotonicMs());
    this.#cancelReconnect = clock.schedule(waitMs, () => {
      this.#reconnectPending = false;
      this.#lastReconnectMs = clock.monotonicMs();
      this.connect();
    });
  }
}

/** Why this is no broker of ours; undefined where it is one. */
function brokerFault(
  judged: Judged<Certificate>,
  hello: BrokerHello,
  installation: string,
  responderStatic: Uint8Array,
): string | undefined {
  if (judged.kind !== 'valid') return `its certificate is ${judged.kind}`;
  if (judged.claims.iss !== installation) return 'it serves another installation';
  if (judged.claims.kex !== base64url(responderStatic)) return 'its certificate is for another key';
  if (!hello.versions.includes(PROTOCOL_VERSION)) return 'it speaks no version we speak';
  return undefined;
}

function isFor(message: Attempt, asked: Attempt): boolean {
  return message.job === asked.job && message.attempt === asked.attempt;
}
