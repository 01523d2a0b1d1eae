import type { Address, Bus } from '../../protocol/bindings/bus.ts';
import { MAX_FRAME_BYTES } from '../../protocol/bindings/bus.ts';
import { base64url, bytesOf, fromBase64url, fromHex, hex } from '../../protocol/encoding.ts';
import type { AgentHello, BrokerHello, Certificate } from '../../protocol/generated/types.ts';
import { isAgentHello } from '../../protocol/generated/validators.js';
import { decodeAs, MAX_MESSAGE_BYTES } from '../../protocol/messages.ts';
import type { PrivateKey, Runtime } from '../../protocol/runtime/runtime.ts';
import {
  decodeHeader,
  encodeHint,
  encodeMessage,
  type Header,
  sessionKey,
} from '../../protocol/session/header.ts';
import { Handshake } from '../../protocol/session/noise.ts';
import { encodePrologue } from '../../protocol/session/prologue.ts';
import { judgeIdentity } from '../../protocol/tokens.ts';
import { signJws } from '../../protocol/jws.ts';
import type { Faults } from './faults.ts';
import { CONFIRMATION, Line, MESSAGE } from './line.ts';

/** How handshakes are answered; a case may change any of it. */
export interface HandshakeManners {
  /** What goes out for each message 1, repeats included, `nth` counted from 0 over one message 1; by default the one right message 2. */
  answer: (offer: Offer, nth: number) => readonly Uint8Array[];
  /** Whether a frame confirms message 3. */
  confirms: boolean;
}

/** A message 1, and the message 2s that can be made for it. */
export interface Offer {
  readonly message1: Uint8Array;
  /** The right one, the same each time. */
  readonly right: () => Uint8Array;
  /** Another, changed as asked. */
  readonly wrong: (change: HelloChange) => Uint8Array;
}

/** What is wrong with a message 2. */
export interface HelloChange {
  readonly certificate?: (claims: Certificate) => object;
  /** The whole token, from the right claims. */
  readonly token?: (claims: Certificate) => string;
  readonly certifier?: PrivateKey;
  readonly hello?: (hello: BrokerHello) => object;
  readonly payload?: Uint8Array;
  readonly staticKey?: PrivateKey;
  readonly installation?: string;
  readonly role?: string;
}

/** Something of a handshake that came. */
export interface Arrival {
  readonly atMs: number;
  readonly frame: Uint8Array;
}

export interface BrokerDeskOptions {
  readonly runtime: Runtime;
  readonly installation: string;
  readonly identityKey: PrivateKey;
  readonly certifier: PrivateKey;
  readonly faults: Faults;
  /** A session is there: it is confirmed by whatever is said now. */
  readonly onLine: (line: Line) => void;
  readonly onMessage: (line: Line, bytes: Uint8Array) => void;
  readonly onConfirmation: (line: Line) => void;
}

interface Pending {
  readonly handshake: Handshake;
  readonly sessionId: Uint8Array;
}

const CERTIFICATE_SECONDS = 86_400;

/** The broker's end of every session: handshakes as XX says, or as a case wants them. */
export class BrokerDesk {
  readonly manners: HandshakeManners;
  readonly message1s: Arrival[] = [];
  readonly message3s: Arrival[] = [];
  readonly lines: Line[] = [];
  /** Every frame of a session that opened, as it came. */
  readonly frames: { readonly line: Line; readonly header: Header; readonly frame: Uint8Array }[] = [];
  readonly #options: BrokerDeskOptions;
  readonly #bus: Bus;
  readonly #key: PrivateKey;
  readonly #pending = new Map<string, Pending>();
  readonly #offers = new Map<string, { readonly offer: Offer; nth: number }>();
  readonly #byId = new Map<string, Line>();
  /** Sessions that a right message 2 announced. */
  readonly #rightIds = new Set<string>();
  readonly #byProof = new Map<string, Line>();
  maxSlots = 1;
  versions: readonly number[] = [1];

  constructor(bus: Bus, options: BrokerDeskOptions) {
    this.#bus = bus;
    this.#options = options;
    this.#key = options.runtime.crypto.generate('x25519');
    this.manners = { answer: (offer) => [offer.right()], confirms: true };
    bus.onFrame((from, frame) => this.#receive(from, frame));
  }

  /** The newest session. */
  get line(): Line | undefined {
    return this.lines.at(-1);
  }

  /** Whether the session came of a message 2 that was right. */
  isRight(line: Line): boolean {
    return this.#rightIds.has(sessionKey(line.options.id));
  }

  /** Puts bytes on the bus as they are, to whoever that session is with. */
  put(line: Line, frame: Uint8Array): void {
    this.putAt(line.options.from, frame);
  }

  putAt(to: Address, frame: Uint8Array): void {
    void this.#bus.send(to, frame).catch(() => undefined); // whoever has gone hears nothing
  }

  say(line: Line, message: object): void {
    this.put(line, line.sealMessage(bytesOf(JSON.stringify(message))));
  }

  confirm(line: Line): void {
    this.put(line, line.sealConfirmation());
  }

  hint(line: Line, sessionId: Uint8Array): void {
    this.put(line, encodeHint(sessionId));
  }

  /** Forgets every session and handshake, as a restart does. */
  forget(): void {
    this.#pending.clear();
    this.#offers.clear();
    this.#byId.clear();
    this.#byProof.clear();
  }

  #receive(from: Address, frame: Uint8Array): void {
    const { faults } = this.#options;
    if (frame.length > MAX_FRAME_BYTES) faults.note('B-2', `it sent a frame of ${frame.length} bytes`);
    const header = decodeHeader(frame);
    switch (header?.kind) {
      case 'hello':
        this.#onMessage1(from, header, frame);
        return;
      case 'proof':
        this.#onMessage3(from, header, frame);
        return;
      case 'frame':
        this.#onFrame(from, header, frame);
        return;
      case 'answer':
      case 'unknownSession':
        faults.note('H-1', `an agent never sends a header of this type: ${hex(frame.subarray(0, 12))}`);
        return;
      case undefined:
        faults.note(
          'H-1',
          `this is no frame of the protocol: ${hex(frame.subarray(0, 20))}, ${frame.length} bytes`,
        );
    }
  }

  #onMessage1(from: Address, header: Header, frame: Uint8Array): void {
    this.message1s.push({ atMs: performance.now(), frame });
    if (header.body.length !== 32)
      this.#options.faults.note('S-4', `its message 1 has ${header.body.length} bytes, not 32`);
    if (header.keyId !== 0) this.#options.faults.note('H-2', 'its message 1 names a key id');
    const key = `${from} ${hex(header.body)}`;
    const known = this.#offers.get(key) ?? { offer: this.#offer(header.body), nth: 0 };
    this.#offers.set(key, known);
    for (const answer of this.manners.answer(known.offer, known.nth++)) this.putAt(from, answer);
  }

  #offer(message1: Uint8Array): Offer {
    let right: Uint8Array | undefined;
    const wrong = (change: HelloChange): Uint8Array => this.#message2(message1, change).frame;
    return {
      message1,
      wrong,
      right: () => {
        if (right !== undefined) return right;
        const made = this.#message2(message1, {});
        this.#rightIds.add(sessionKey(made.sessionId));
        right = made.frame;
        return right;
      },
    };
  }

  #message2(
    message1: Uint8Array,
    change: HelloChange,
  ): { readonly frame: Uint8Array; readonly sessionId: Uint8Array } {
    const { runtime, installation } = this.#options;
    const handshake = new Handshake({
      crypto: runtime.crypto,
      pattern: 'XX',
      role: 'responder',
      prologue: encodePrologue({
        installation: change.installation ?? installation,
        responderRole: change.role ?? 'broker',
      }),
      staticKey: change.staticKey ?? this.#key,
    });
    handshake.read(message1);
    const sessionId = runtime.random.bytes(8);
    const body = handshake.write(change.payload ?? bytesOf(JSON.stringify(this.#hello(sessionId, change))));
    this.#pending.set(sessionKey(sessionId), { handshake, sessionId });
    return { frame: encodeMessage('answer', message1.subarray(0, 8), body), sessionId };
  }

  #hello(sessionId: Uint8Array, change: HelloChange): object {
    const { runtime, installation, certifier } = this.#options;
    const now = Math.floor(runtime.clock.wallMs() / 1000);
    const claims: Certificate = {
      iss: installation,
      instance: 'conformance',
      kex: base64url((change.staticKey ?? this.#key).publicKey.raw),
      address: 'broker',
      iat: now,
      exp: now + CERTIFICATE_SECONDS,
    };
    const said = change.certificate?.(claims) ?? claims;
    const hello: BrokerHello = {
      kind: 'broker-hello',
      certificate:
        change.token?.(claims) ??
        signJws(runtime.crypto, change.certifier ?? certifier, 'copilot-certificate', said),
      session: hex(sessionId),
      versions: this.versions,
      maxSlots: this.maxSlots,
    };
    return change.hello?.(hello) ?? hello;
  }

  #onMessage3(from: Address, header: Header, frame: Uint8Array): void {
    this.message3s.push({ atMs: performance.now(), frame });
    const again = this.#byProof.get(hex(frame));
    if (again !== undefined) {
      if (this.manners.confirms) this.confirm(again);
      return;
    }
    const pending = this.#pending.get(sessionKey(header.receiver));
    if (pending === undefined) {
      this.putAt(from, encodeHint(header.receiver));
      return;
    }
    const line = this.#prove(from, pending, header);
    if (line === undefined) return;
    this.#pending.delete(sessionKey(header.receiver));
    this.#byProof.set(hex(frame), line);
    this.#byId.set(sessionKey(pending.sessionId), line);
    this.lines.push(line);
    if (this.manners.confirms) this.#options.onLine(line);
  }

  #prove(from: Address, { handshake, sessionId }: Pending, header: Header): Line | undefined {
    const { runtime, faults } = this.#options;
    const payload = handshake.read(header.body);
    const raw = handshake.remoteStatic?.raw;
    if (payload === undefined || raw === undefined) {
      faults.note('S-1', 'its message 3 does not open');
      return undefined;
    }
    const hello = this.#agentHello(payload, raw);
    if (hello === undefined) return undefined;
    return new Line({
      crypto: runtime.crypto,
      keys: handshake.finish(),
      id: sessionId,
      peerId: fromHex(hello.session),
      from,
      hello,
      openedMs: performance.now(),
    });
  }

  #agentHello(payload: Uint8Array, staticKey: Uint8Array): AgentHello | undefined {
    const { runtime, faults, identityKey } = this.#options;
    let hello: AgentHello;
    try {
      hello = decodeAs(payload, isAgentHello);
    } catch (caught) {
      faults.note(
        'S-8',
        `its payload 3 is refused: ${caught instanceof Error ? caught.message : 'no message'}`,
      );
      return undefined;
    }
    const judged = judgeIdentity(
      runtime.crypto,
      identityKey.publicKey,
      hello.identity,
      runtime.clock.wallMs(),
    );
    if (judged.kind === 'invalid') faults.note('S-8', 'its payload 3 has an identity that is none of ours');
    else if (hex(fromBase64url(judged.claims.kex) ?? new Uint8Array()) !== hex(staticKey))
      faults.note('S-8', 'its handshake is by another key than its identity names');
    if (!this.versions.includes(hello.version))
      faults.note('S-27', `it chose version ${hello.version}, which was not offered`);
    return hello;
  }

  #onFrame(from: Address, header: Header, frame: Uint8Array): void {
    const line = this.#byId.get(sessionKey(header.receiver));
    if (line === undefined) {
      this.putAt(from, encodeHint(header.receiver));
      return;
    }
    const plaintext = line.open(header);
    const { faults } = this.#options;
    if (plaintext === undefined) {
      faults.note('F-1', 'a frame of it does not open');
      return;
    }
    if (line.seen.has(header.counter)) {
      faults.note('F-2', `it used the counter ${header.counter} of a session twice`);
      return;
    }
    line.seen.add(header.counter);
    this.frames.push({ line, header, frame });
    this.#understand(line, plaintext);
  }

  #understand(line: Line, plaintext: Uint8Array): void {
    const { faults, onMessage, onConfirmation } = this.#options;
    const body = plaintext.subarray(1);
    if (plaintext[0] === CONFIRMATION && body.length === 0) onConfirmation(line);
    else if (plaintext[0] !== MESSAGE)
      faults.note('F-3', `its plaintext begins with ${plaintext[0] ?? 'nothing'}`);
    else if (body.length === 0 || body.length > MAX_MESSAGE_BYTES)
      faults.note('F-4', `it sent a message of ${body.length} bytes`);
    else onMessage(line, body);
  }
}
