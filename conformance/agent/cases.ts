import { expect } from '../expectation.ts';
import type { AgentCase } from './agent-case.ts';
import { busCases } from './cases-bus.ts';
import { enrolmentCases } from './cases-enrolment.ts';
import { fileCases } from './cases-files.ts';
import { frameCases } from './cases-frames.ts';
import { handshakeCases } from './cases-handshake.ts';
import { leaseCases, startCases } from './cases-leases.ts';
import { messageCases } from './cases-messages.ts';
import { reportCases } from './cases-reports.ts';
import { secretIn } from './secrets.ts';

/** Every case an agent is held against, those that wait longest first; whatever it is about, no fault may have been seen. */
export const agentCases: readonly AgentCase[] = [
  busCases,
  enrolmentCases,
  handshakeCases,
  frameCases,
  messageCases,
  leaseCases,
  startCases,
  fileCases,
  reportCases,
].flatMap((cases) => cases.map(watched));

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
