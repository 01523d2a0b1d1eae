import { bytesOf, fromHex, hex } from '../../protocol/encoding.ts';
import { isServiceWelcome } from '../../protocol/generated/validators.js';
import type { ServiceWelcome } from '../../protocol/generated/types.ts';
import { decodeAs, PROTOCOL_VERSION } from '../../protocol/messages.ts';
import type { PrivateKey, PublicKey, Runtime } from '../../protocol/runtime/runtime.ts';
import { encodeHello, type Header, sameBytes, SESSION_ID_BYTES } from '../../protocol/session/header.ts';
import { Handshake } from '../../protocol/session/noise.ts';
import { encodePrologue, type Prologue } from '../../protocol/session/prologue.ts';
import { expect } from '../expectation.ts';
import { Channel } from '../peer/channel.ts';

export interface IkParts {
  readonly runtime: Runtime;
  readonly staticKey: PrivateKey;
  readonly responder: PublicKey;
  readonly keyId: number;
  readonly prologue: Prologue;
  readonly start: string;
  /** Instead of a `service-hello`. */
  readonly payload?: object;
}

/** After message 1 of IK. */
export interface Ik {
  readonly frame: Uint8Array;
  isAnswer(header: Header): boolean;
  read(header: Header): { readonly welcome: ServiceWelcome; readonly channel: Channel };
}

/** Noise IK by hand; nothing is sent. */
export function beginIk(parts: IkParts): Ik {
  const { runtime, staticKey, responder, keyId, prologue, start } = parts;
  const ownId = runtime.random.bytes(SESSION_ID_BYTES);
  const handshake = new Handshake({
    crypto: runtime.crypto,
    pattern: 'IK',
    role: 'initiator',
    staticKey,
    remoteStatic: responder,
    prologue: encodePrologue(prologue),
  });
  const hello = { kind: 'service-hello', session: hex(ownId), versions: [PROTOCOL_VERSION], start };
  const message1 = handshake.write(bytesOf(JSON.stringify(parts.payload ?? hello)));
  return {
    frame: encodeHello(keyId, message1),
    isAnswer: (header) =>
      header.kind === 'answer' && sameBytes(header.receiver, message1.subarray(0, SESSION_ID_BYTES)),
    read(header) {
      const payload2 = handshake.read(header.body);
      expect(payload2 !== undefined, 'message 2 does not open as an answer to message 1');
      const welcome = decodeAs(payload2, isServiceWelcome);
      expect(welcome.version === PROTOCOL_VERSION, `version ${welcome.version} was chosen`);
      const peer = fromHex(welcome.session);
      return { welcome, channel: new Channel(runtime.crypto, handshake.finish(), { own: ownId, peer }) };
    },
  };
}
