import { expect, it } from 'vitest';
import { createCrypto } from '../../protocol/runtime/node-runtime.ts';
import { Transport } from '../../protocol/session/transport.ts';

const MOST_FRAMES = 2 ** 24;

it('a session is over after 2^24 frames (S-19)', () => {
  const crypto = createCrypto();
  const key = crypto.importSealKey(new Uint8Array(32));
  const sealed = new Uint8Array(17);
  const transport = new Transport({
    crypto: { ...crypto, seal: () => sealed },
    keys: { send: key, receive: key, handshakeHash: new Uint8Array(0) },
    peerSessionId: new Uint8Array(8),
    startedMs: 0,
  });
  while (transport.sealedFrames < MOST_FRAMES - 1) transport.sealConfirmation();
  expect(transport.isOver(0)).toBe(false);
  transport.sealConfirmation();
  expect(transport.isOver(0)).toBe(true);
});
