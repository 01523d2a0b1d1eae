import { expect, it } from 'vitest';
import * as agent from '../../../agent/index.ts';
import * as protocol from '../../../protocol/index.ts';

it('exports of the protocol package are a decision', () => {
  expect(Object.keys(protocol).sort()).toEqual([
    'BROKER_ADDRESS',
    'CoPilotError',
    'ENROLMENT_PATHS',
    'MAX_FRAME_BYTES',
    'MAX_MESSAGE_BYTES',
    'PROTOCOL_VERSION',
    'createCrypto',
    'createDpopProof',
    'createInitiator',
    'createMemoryNetwork',
    'createNodeRuntime',
    'createResponder',
    'createWebSocketClient',
    'decodeAgentMessage',
    'decodeBrokerMessage',
    'decodeEnrolmentCode',
    'encodeMessage',
    'judgeCertificate',
    'judgeIdentity',
    'proofBytes',
    'reportEvidence',
    'thumbprint',
  ]);
});

it('exports of the agent package are a decision', () => {
  expect(Object.keys(agent).sort()).toEqual([
    'AGENT_EXIT',
    'createAgent',
    'createMemoryLauncher',
    'createMemoryStore',
    'createMemoryTransfers',
    'runAgent',
  ]);
});
