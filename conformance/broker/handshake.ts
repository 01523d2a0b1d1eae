import { bytesOf, fromBase64url, fromHex, hex } from '../../protocol/encoding.ts';
import type { AgentHello, BrokerHello, Certificate } from '../../protocol/generated/types.ts';
import { isBrokerHello } from '../../protocol/generated/validators.js';
import { decodeAs, PROTOCOL_VERSION } from '../../protocol/messages.ts';
import type { PrivateKey, Runtime } from '../../protocol/runtime/runtime.ts';
import {
  encodeHello,
  encodeMessage,
  type Header,
  sameBytes,
  SESSION_ID_BYTES,
} from '../../protocol/session/header.ts';
import { Handshake } from '../../protocol/session/noise.ts';
import { encodePrologue, type Prologue } from '../../protocol/session/prologue.ts';
import { judgeCertificate } from '../../protocol/tokens.ts';
import { expect } from '../expectation.ts';
import { Channel } from '../peer/channel.ts';
import type { Line } from './line.ts';
import type { Membership } from './membership.ts';

export interface HandshakeParts {
  readonly runtime: Runtime;
  readonly member: Membership;
  readonly start: string;
  /** Another key than the member's. */
  readonly staticKey?: PrivateKey;
  readonly prologue?: Partial<Prologue>;
  /** Changes what message 3 says; bytes are sent as they are. */
  readonly hello?: (hello: AgentHello) => object | Uint8Array;
}

/** After message 1: what waits for message 2. */
export interface Begun {
  /** Message 1 as a frame. */
  readonly frame: Uint8Array;
  /** Whether a frame of the broker answers it. */
  isAnswer(header: Header): boolean;
  /** Reads a message 2 and checks what S-6 asks; `Failed` where anything is wrong. */
  read(header: Header): Answered;
  /** Whether it opens as the answer to this very message 1. */
  opens(header: Header): boolean;
}

/** After message 2. */
export interface Answered {
  readonly hello: BrokerHello;
  readonly certificate: Certificate;
  /** Message 3 as a frame, and the session it asks for. */
  readonly proof: Uint8Array;
  readonly channel: Channel;
}

/** Noise XX by hand, one message at a time; nothing is sent. */
export function beginHandshake(parts: HandshakeParts): Begun {
  const { runtime, member, prologue } = parts;
  const ownId = runtime.random.bytes(SESSION_ID_BYTES);
  const handshake = new Handshake({
    crypto: runtime.crypto,
    pattern: 'XX',
    role: 'initiator',
    staticKey: parts.staticKey ?? member.session,
    prologue: encodePrologue({ installation: member.installation, responderRole: 'broker', ...prologue }),
  });
  const message1 = handshake.write(new Uint8Array(0));
  return {
    frame: encodeHello(0, message1),
    isAnswer: (header) =>
      header.kind === 'answer' && sameBytes(header.receiver, message1.subarray(0, SESSION_ID_BYTES)),
    opens: (header) => handshake.fork().read(header.body) !== undefined,
    read(header) {
      const fork = handshake.fork();
      const payload2 = fork.read(header.body);
      expect(payload2 !== undefined, 'message 2 does not open as an answer to message 1');
      const hello = decodeAs(payload2, isBrokerHello);
      const certificate = checkCertificate(
        runtime,
        member,
        hello,
        fork.remoteStatic?.raw ?? new Uint8Array(0),
      );
      const message3 = fork.write(payload3(parts, ownId));
      const peerId = fromHex(hello.session);
      const channel = new Channel(runtime.crypto, fork.finish(), { own: ownId, peer: peerId });
      return { hello, certificate, proof: encodeMessage('proof', peerId, message3), channel };
    },
  };
}

function payload3({ member, start, hello: change }: HandshakeParts, ownId: Uint8Array): Uint8Array {
  const hello: AgentHello = {
    kind: 'agent-hello',
    identity: member.identity,
    session: hex(ownId),
    version: PROTOCOL_VERSION,
    start,
  };
  const said = change?.(hello) ?? hello;
  return said instanceof Uint8Array ? said : bytesOf(JSON.stringify(said));
}

/** Everything S-6 asks of an agent, before it says anything. */
function checkCertificate(
  { crypto, clock }: Runtime,
  { certifier, installation }: Membership,
  hello: BrokerHello,
  responderStatic: Uint8Array,
): Certificate {
  const judged = judgeCertificate(crypto, certifier, hello.certificate, clock.wallMs());
  expect(judged.kind === 'valid', `the certificate of message 2 is ${judged.kind}`);
  const { claims } = judged;
  expect(claims.iss === installation, 'the certificate is of another installation than the enrolment');
  expect(
    sameBytes(fromBase64url(claims.kex) ?? new Uint8Array(0), responderStatic),
    'the certificate names another key than the handshake',
  );
  expect(hello.versions.includes(PROTOCOL_VERSION), `version ${PROTOCOL_VERSION} is not offered`);
  return claims;
}

/** Sends message 1 and reads the answer. */
export async function askAnswer(
  line: Line,
  begun: Begun,
  withinMs: number,
  signal: AbortSignal,
): Promise<Answered> {
  line.send(begun.frame);
  const header = await line.frames.take((frame) => begun.isAnswer(frame), withinMs, signal);
  expect(header !== undefined, 'message 1 was not answered');
  return begun.read(header);
}
