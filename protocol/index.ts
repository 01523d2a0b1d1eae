/** What programs outside this repository may use of the protocol; `test/unit/protocol/index.test.ts` pins the list. */
export {
  BROKER_ADDRESS,
  MAX_FRAME_BYTES,
  type Address,
  type Bus,
  type FrameHandler,
} from './bindings/bus.ts';
export { createMemoryNetwork, type MemoryNetwork } from './bindings/memory.ts';
export { createWebSocketClient, type WebSocketClientOptions } from './bindings/websocket-client.ts';
export { createDpopProof } from './dpop.ts';
export {
  decodeEnrolmentCode,
  type EnrolmentCode,
  ENROLMENT_PATHS,
  type EnrolmentRequest,
  proofBytes,
  type RenewalRequest,
} from './enrolment.ts';
export { CoPilotError, type ErrorCode } from './errors.ts';
export type * as messages from './generated/types.ts';
export {
  type AgentMessage,
  type BrokerMessage,
  decodeAgentMessage,
  decodeBrokerMessage,
  encodeMessage,
  MAX_MESSAGE_BYTES,
  PROTOCOL_VERSION,
} from './messages.ts';
export { reportEvidence } from './report-evidence.ts';
export { createCrypto, createNodeRuntime } from './runtime/node-runtime.ts';
export type { Clock, Crypto, Log, PrivateKey, PublicKey, Random, Runtime } from './runtime/runtime.ts';
export { createInitiator, type Initiator, type InitiatorOptions } from './session/initiator.ts';
export { createResponder, type Responder, type ResponderOptions } from './session/responder.ts';
export { judgeCertificate, judgeIdentity, type Judged, thumbprint } from './tokens.ts';
