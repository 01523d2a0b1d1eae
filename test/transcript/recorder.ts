import type { Crypto } from '../../protocol/runtime/runtime.ts';
import type { Party } from '../doubles/broker-stage.ts';
import type { ManualClock } from '../doubles/manual-clock.ts';

/** Something one program said to another, as it was before sealing or after opening. */
export interface Line {
  readonly atMs: number;
  readonly from: string;
  readonly to: string;
  readonly message: Readonly<Record<string, unknown>>;
}

const OPENING_BRACE = 0x7b;
const MESSAGE = 1;

/** Notes every JSON object that the programs at the ends of sessions seal or open; the broker's part is seen at the other end. */
export function createRecorder() {
  const lines: Line[] = [];
  const note = (clock: ManualClock, from: string, to: string, plaintext: Uint8Array): void => {
    const json = plaintext[0] === MESSAGE ? plaintext.subarray(1) : plaintext;
    if (json[0] !== OPENING_BRACE) return;
    const message = JSON.parse(Buffer.from(json).toString('utf8')) as Line['message'];
    lines.push({ atMs: clock.monotonicMs(), from, to, message });
  };
  const wrapCrypto = (party: Party, crypto: Crypto, clock: ManualClock): Crypto => {
    if (party === 'broker') return crypto;
    return {
      ...crypto,
      seal(key, nonce, associated, plaintext) {
        note(clock, party, 'broker', plaintext);
        return crypto.seal(key, nonce, associated, plaintext);
      },
      open(key, nonce, associated, sealed) {
        const plaintext = crypto.open(key, nonce, associated, sealed);
        if (plaintext !== undefined) note(clock, 'broker', party, plaintext);
        return plaintext;
      },
    };
  };
  return { lines, wrapCrypto };
}
