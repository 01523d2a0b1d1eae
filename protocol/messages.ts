import { CoPilotError } from './errors.ts';
import { bytesOf, textOf } from './encoding.ts';
import type * as types from './generated/types.ts';
import * as validators from './generated/validators.js';
import type { Validator } from './generated/validators.js';
import { MAX_MESSAGE_BYTES } from './session/transport.ts';

export { MAX_MESSAGE_BYTES } from './session/transport.ts';

/** Version of the protocol this code speaks first; N and N-1 are served once there is a second. */
export const PROTOCOL_VERSION = 1;

/** Largest job description as JSON, so that a lease with its capabilities fits a message. */
export const MAX_DESCRIPTION_BYTES = 12 * 1024;

/** What an agent may say after the handshake. */
export type AgentMessage =
  | types.Request
  | types.Renew
  | types.Outputs
  | types.Report
  | types.Release
  | types.Call
  | types.Parts;

/** What a broker may say to an agent after the handshake. */
export type BrokerMessage =
  | types.Welcome
  | types.Farewell
  | types.Job
  | types.None
  | types.Renewed
  | types.Capabilities
  | types.Reported
  | types.Released
  | types.Called
  | types.Parted
  | types.Error
  | types.Notice;

/** What broker and adapters say to each other. */
export type TrustedMessage = types.Ask | types.Answers;

type Table<M extends { readonly kind: string }> = {
  readonly [K in M['kind']]: Validator<Extract<M, { readonly kind: K }>>;
};

const agentMessages: Table<AgentMessage> = {
  request: validators.isRequest,
  renew: validators.isRenew,
  outputs: validators.isOutputs,
  report: validators.isReport,
  release: validators.isRelease,
  call: validators.isCall,
  parts: validators.isParts,
};

const brokerMessages: Table<BrokerMessage> = {
  welcome: validators.isWelcome,
  farewell: validators.isFarewell,
  job: validators.isJob,
  none: validators.isNone,
  renewed: validators.isRenewed,
  capabilities: validators.isCapabilities,
  reported: validators.isReported,
  released: validators.isReleased,
  called: validators.isCalled,
  parted: validators.isParted,
  error: validators.isError,
  notice: validators.isNotice,
};

const trustedMessages: Table<TrustedMessage> = {
  ask: validators.isAsk,
  answers: validators.isAnswers,
};

/** Throws `MALFORMED_MESSAGE` or `UNKNOWN_KIND`; the message text names the place, never the value. */
export function decodeAgentMessage(bytes: Uint8Array): AgentMessage {
  return decode<AgentMessage>(bytes, agentMessages);
}

/** As `decodeAgentMessage`, for what a broker says to an agent. */
export function decodeBrokerMessage(bytes: Uint8Array): BrokerMessage {
  return decode<BrokerMessage>(bytes, brokerMessages);
}

/** As `decodeAgentMessage`, for what broker and adapters say to each other. */
export function decodeTrustedMessage(bytes: Uint8Array): TrustedMessage {
  return decode<TrustedMessage>(bytes, trustedMessages);
}

/** Decodes the one message kind a handshake step allows. */
export function decodeAs<T>(bytes: Uint8Array, is: Validator<T>): T {
  const value = parse(bytes);
  if (!is(value)) throw malformed(is);
  return value;
}

/** UTF-8 JSON of a message; throws `FRAME_TOO_LARGE` over `MAX_MESSAGE_BYTES`. */
export function encodeMessage(message: { readonly kind: string }): Uint8Array {
  const bytes = bytesOf(JSON.stringify(message));
  if (bytes.length > MAX_MESSAGE_BYTES) {
    throw new CoPilotError(
      'FRAME_TOO_LARGE',
      `a ${message.kind} of ${bytes.length} bytes is over ${MAX_MESSAGE_BYTES}`,
    );
  }
  return bytes;
}

function decode<M extends { readonly kind: string }>(bytes: Uint8Array, table: Table<M>): M {
  const value = parse(bytes);
  const kind = kindOf(value);
  if (kind === undefined || !Object.hasOwn(table, kind)) {
    throw new CoPilotError('UNKNOWN_KIND', 'no message of that kind is spoken in this direction');
  }
  const is: Validator<M> = table[kind as M['kind']];
  if (!is(value)) throw malformed(is);
  return value;
}

/** The only place where JSON from a peer is parsed: size first, then UTF-8, then JSON. */
function parse(bytes: Uint8Array): unknown {
  if (bytes.length > MAX_MESSAGE_BYTES)
    throw new CoPilotError('FRAME_TOO_LARGE', 'the message is over its bound');
  const text = textOf(bytes);
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch (cause) {
    throw new CoPilotError('MALFORMED_MESSAGE', 'the message is not JSON', { cause });
  }
}

function kindOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || !('kind' in value)) return undefined;
  return typeof value.kind === 'string' ? value.kind : undefined;
}

function malformed(is: Validator<unknown>): CoPilotError {
  const [first] = is.errors ?? [];
  const where = first === undefined || first.instancePath === '' ? 'the message' : first.instancePath;
  return new CoPilotError('MALFORMED_MESSAGE', `${where} ${first?.message ?? 'is not as the schema says'}`);
}
