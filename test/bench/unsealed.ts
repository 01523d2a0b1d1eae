import type { Crypto } from '../../protocol/runtime/runtime.ts';

const TAG_BYTES = 16;

/** Frames of the same length that anybody could read and write: only to see what sealing costs. Both ends must do it. */
export function unsealed(crypto: Crypto): Crypto {
  return {
    ...crypto,
    seal: (_key, _nonce, _associated, plaintext) => {
      const frame = new Uint8Array(plaintext.length + TAG_BYTES);
      frame.set(plaintext);
      return frame;
    },
    open: (_key, _nonce, _associated, frame) => frame.subarray(0, frame.length - TAG_BYTES),
  };
}
