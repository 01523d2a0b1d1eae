import type { Address } from '../../protocol/bindings/bus.ts';
import type { AgentHello } from '../../protocol/generated/types.ts';
import type { Crypto } from '../../protocol/runtime/runtime.ts';
import { encodeFrame, type Header } from '../../protocol/session/header.ts';
import { nonceOf, type SessionKeys } from '../../protocol/session/noise.ts';

/** The first byte of a plaintext. */
export const CONFIRMATION = 0;
export const MESSAGE = 1;

const NO_BYTES = new Uint8Array(0);

export interface LineOptions {
  readonly crypto: Crypto;
  readonly keys: SessionKeys;
  /** Our session id, and the agent's. */
  readonly id: Uint8Array;
  readonly peerId: Uint8Array;
  readonly from: Address;
  readonly hello: AgentHello;
  readonly openedMs: number;
}

/** One session with an agent, sealed and opened by hand, so that a case may do it wrong. */
export class Line {
  readonly options: LineOptions;
  /** The counter of the next frame. */
  next = 0;
  /** Counters of the frames that opened. */
  readonly seen = new Set<number>();

  constructor(options: LineOptions) {
    this.options = options;
  }

  get hello(): AgentHello {
    return this.options.hello;
  }

  /** A frame with any plaintext, under the next counter unless another is named. */
  seal(plaintext: Uint8Array, counter = this.next++): Uint8Array {
    const { crypto, keys, peerId } = this.options;
    return encodeFrame(peerId, counter, crypto.seal(keys.send, nonceOf(counter), NO_BYTES, plaintext));
  }

  sealMessage(bytes: Uint8Array, counter?: number): Uint8Array {
    return this.seal(plaintextOf(MESSAGE, bytes), counter);
  }

  sealConfirmation(): Uint8Array {
    return this.seal(Uint8Array.of(CONFIRMATION));
  }

  /** The plaintext; undefined where the tag does not verify. */
  open(header: Header): Uint8Array | undefined {
    const { crypto, keys } = this.options;
    return crypto.open(keys.receive, nonceOf(header.counter), NO_BYTES, header.body);
  }
}

export function plaintextOf(kind: number, bytes: Uint8Array): Uint8Array {
  const plaintext = new Uint8Array(1 + bytes.length);
  plaintext[0] = kind;
  plaintext.set(bytes, 1);
  return plaintext;
}
