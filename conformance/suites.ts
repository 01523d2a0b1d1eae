import { agentCases } from './agent/cases.ts';
import type { CaseFacts, SubjectKind } from './case.ts';

/** Everything there is to run against a kind of subject. */
export function casesOf(kind: SubjectKind): readonly CaseFacts[] {
  switch (kind) {
    case 'agent':
      return agentCases;
    case 'broker':
    case 'adapter':
      return [];
  }
}
