import { concatenate } from './bytes.ts';
import { encodeFrame, type Header } from '../../protocol/session/header.ts';
import { nonceOf, type SessionKeys } from '../../protocol/session/noise.ts';
import type { Crypto } from '../../protocol/runtime/runtime.ts';

/** First byte of a plaintext (F-3). */
export const CONFIRMATION = 0;
export const MESSAGE = 1;

const NO_BYTES = new Uint8Array(0);

/** Both directions of one session, without any of the rules: it seals whatever it is told under whatever counter. */
export class Channel {
  readonly ownId: Uint8Array;
  readonly peerId: Uint8Array;
  readonly #crypto: Crypto;
  readonly #keys: SessionKeys;
  #next = 0;

  constructor(
    crypto: Crypto,
    keys: SessionKeys,
    ids: { readonly own: Uint8Array; readonly peer: Uint8Array },
  ) {
    this.#crypto = crypto;
    this.#keys = keys;
    this.ownId = ids.own;
    this.peerId = ids.peer;
  }

  /** The counter of the next frame. */
  get next(): number {
    return this.#next;
  }

  /** Leaves counters out, as frames that were lost do. */
  skip(count: number): void {
    this.#next += count;
  }

  /** A right frame of one message, under the next counter. */
  message(bytes: Uint8Array): Uint8Array {
    return this.frame(concatenate(Uint8Array.of(MESSAGE), bytes));
  }

  confirmation(): Uint8Array {
    return this.frame(Uint8Array.of(CONFIRMATION));
  }

  /** A frame of any plaintext. */
  frame(plaintext: Uint8Array): Uint8Array {
    const counter = this.#next++;
    return encodeFrame(this.peerId, counter, this.seal(counter, plaintext));
  }

  seal(counter: number, plaintext: Uint8Array, associated: Uint8Array = NO_BYTES): Uint8Array {
    return this.#crypto.seal(this.#keys.send, nonceOf(counter), associated, plaintext);
  }

  /** As if this side were the other: sealed by the key it receives with. */
  sealAsPeer(counter: number, plaintext: Uint8Array): Uint8Array {
    return this.#crypto.seal(this.#keys.receive, nonceOf(counter), NO_BYTES, plaintext);
  }

  /** The plaintext of a frame of the other side; undefined where it is not sealed for this session. */
  open(header: Header): Uint8Array | undefined {
    return this.#crypto.open(this.#keys.receive, nonceOf(header.counter), NO_BYTES, header.body);
  }
}
