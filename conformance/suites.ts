import { ADAPTER_CASES } from './adapter/cases.ts';
import { agentCases } from './agent/cases.ts';
import { BROKER_CASES } from './broker/cases.ts';
import type { CaseFacts, SubjectKind } from './case.ts';

/** Everything there is to run against a kind of subject. */
export function casesOf(kind: SubjectKind): readonly CaseFacts[] {
  switch (kind) {
    case 'agent':
      return agentCases;
    case 'broker':
      return BROKER_CASES;
    case 'adapter':
      return ADAPTER_CASES;
  }
}
