import { CoPilotError } from '../errors.ts';
import type { Crypto } from '../runtime/runtime.ts';
import { encodeFrame, FRAME_HEADER_BYTES, type Header } from './header.ts';
import { nonceOf, type SessionKeys } from './noise.ts';
import { ReplayWindow } from './replay-window.ts';

/** Largest message inside a frame. */
export const MAX_MESSAGE_BYTES = 32 * 1024;

/** A new handshake is due after an hour, 2^20 frames or 1 GiB in either direction. */
export const RENEW_AFTER_MS = 60 * 60 * 1000;
const RENEW_AFTER_FRAMES = 2 ** 20;
const RENEW_AFTER_BYTES = 2 ** 30;
/** Where none succeeds the session ends after a day, or well below AES-GCM's bound on the frames under one key. */
const STOP_AFTER_MS = 24 * 60 * 60 * 1000;
const STOP_AFTER_FRAMES = 2 ** 24;

/** The first byte of every plaintext. A confirmation is empty: it proves its sender has the keys, and asks for one back. */
const CONFIRMATION = 0;
const MESSAGE = 1;

const NO_BYTES = new Uint8Array(0);

/** What became of a frame; of a refused one nothing but the counter of refusals changes. */
export type Opened =
  | { readonly kind: 'message'; readonly body: Uint8Array }
  | { readonly kind: 'confirmation' }
  | { readonly kind: 'replayed' }
  | { readonly kind: 'forged' }
  | { readonly kind: 'unknown-content' };

export interface TransportOptions {
  readonly crypto: Crypto;
  readonly keys: SessionKeys;
  /** The session id the other side announced, which its frames must carry. */
  readonly peerSessionId: Uint8Array;
  /** Monotonic time of the handshake. */
  readonly startedMs: number;
}

/** One session's two directions: seals with a counter that only rises, opens in any order within the window. */
export class Transport {
  readonly peerSessionId: Uint8Array;
  readonly handshakeHash: Uint8Array;
  readonly #options: TransportOptions;
  readonly #window = new ReplayWindow();
  #sealedFrames = 0;
  #sealedBytes = 0;
  #openedFrames = 0;
  #openedBytes = 0;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.peerSessionId = options.peerSessionId;
    this.handshakeHash = options.keys.handshakeHash;
  }

  /** Frames sealed so far, which is the counter of the next. */
  get sealedFrames(): number {
    return this.#sealedFrames;
  }

  /** A whole frame. Throws `FRAME_TOO_LARGE` above 32 KiB. */
  sealMessage(message: Uint8Array): Uint8Array {
    if (message.length > MAX_MESSAGE_BYTES) {
      throw new CoPilotError(
        'FRAME_TOO_LARGE',
        `a message has at most ${MAX_MESSAGE_BYTES} bytes, this one ${message.length}`,
      );
    }
    return this.#seal(MESSAGE, message);
  }

  sealConfirmation(): Uint8Array {
    return this.#seal(CONFIRMATION, NO_BYTES);
  }

  /** `header` is a frame's, found by its session id. */
  open(header: Header): Opened {
    if (!this.#window.isFresh(header.counter)) return { kind: 'replayed' };
    const { crypto, keys } = this.#options;
    const plaintext = crypto.open(keys.receive, nonceOf(header.counter), NO_BYTES, header.body);
    if (plaintext === undefined) return { kind: 'forged' };
    this.#window.mark(header.counter);
    this.#openedFrames++;
    this.#openedBytes += header.body.length;
    return understand(plaintext);
  }

  needsRehandshake(nowMs: number): boolean {
    return (
      nowMs - this.#options.startedMs >= RENEW_AFTER_MS ||
      Math.max(this.#sealedFrames, this.#openedFrames) >= RENEW_AFTER_FRAMES ||
      Math.max(this.#sealedBytes, this.#openedBytes) >= RENEW_AFTER_BYTES
    );
  }

  /** From here on nothing may be sealed or opened. */
  isOver(nowMs: number): boolean {
    return (
      nowMs - this.#options.startedMs >= STOP_AFTER_MS ||
      Math.max(this.#sealedFrames, this.#openedFrames) >= STOP_AFTER_FRAMES
    );
  }

  #seal(kind: number, body: Uint8Array): Uint8Array {
    const { crypto, keys } = this.#options;
    const plaintext = new Uint8Array(1 + body.length);
    plaintext[0] = kind;
    plaintext.set(body, 1);
    // Counted before sealing: whatever happens in between, no counter serves twice.
    const counter = this.#sealedFrames++;
    const sealed = crypto.seal(keys.send, nonceOf(counter), NO_BYTES, plaintext);
    this.#sealedBytes += sealed.length + FRAME_HEADER_BYTES;
    return encodeFrame(this.peerSessionId, counter, sealed);
  }
}

function understand(plaintext: Uint8Array): Opened {
  const isMessage =
    plaintext[0] === MESSAGE && plaintext.length > 1 && plaintext.length <= 1 + MAX_MESSAGE_BYTES;
  if (isMessage) return { kind: 'message', body: plaintext.subarray(1) };
  if (plaintext[0] === CONFIRMATION && plaintext.length === 1) return { kind: 'confirmation' };
  return { kind: 'unknown-content' };
}
