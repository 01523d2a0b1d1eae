import type { Suite } from '../case.ts';
import { ADAPTER_CASES } from './cases.ts';
import type { AdapterScene } from './scene.ts';
import { AdapterStage, type StageOptions } from './stage.ts';
import { CAPABILITIES } from './subject.ts';

/** Plays bus and broker to an adapter. Cases share one session, so they run one at a time. */
export function createAdapterSuite(options: StageOptions): Suite<AdapterScene> {
  const stage = new AdapterStage(options);
  const { subject } = options;
  return {
    kind: 'adapter',
    cases: ADAPTER_CASES.map((testCase) => ({ ...testCase, turn: 'alone' as const })),
    lacks(capability) {
      if (capability === 'job' || capability === 'storage')
        return capability === subject.kind ? undefined : `it is for ${capability} adapters`;
      return capability in subject ? undefined : CAPABILITIES[capability];
    },
    async lend(_case, signal) {
      await stage.ready();
      return { subject: { stage, signal }, giveBack: async () => '' };
    },
    close: () => stage.close(),
  };
}
