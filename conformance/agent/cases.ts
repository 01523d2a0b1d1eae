import type { AgentCase } from './agent-case.ts';
import { secretIn } from './secrets.ts';
import { enrolmentCases } from './cases-enrolment.ts';
import { frameCases } from './cases-frames.ts';
import { handshakeCases } from './cases-handshake.ts';
import { expect } from '../expectation.ts';

/** Every case an agent is held against; whatever it is about, no fault may have been seen meanwhile. */
export const agentCases: readonly AgentCase[] = [...enrolmentCases, ...handshakeCases, ...frameCases].map(
  watched,
);

function watched(testCase: AgentCase): AgentCase {
  return {
    ...testCase,
    async run(stage, signal) {
      await testCase.run(stage, signal);
      stage.faults.check();
      const secret = secretIn(stage.output, stage.enrolment.secrets);
      expect(secret === undefined, 'E-15: it wrote a code or an identity into its output');
    },
  };
}
