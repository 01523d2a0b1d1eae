import type { Level, Outcome, SubjectKind } from './case.ts';
import { answerableOf } from './answerable.ts';

/** What became of one case. */
export interface Result {
  readonly id: string;
  readonly title: string;
  readonly requirements: readonly string[];
  readonly level: Level;
  readonly outcome: Outcome;
  readonly seconds: number;
  /** What was seen of the subject where it failed; empty otherwise. */
  readonly evidence: string;
}

/** `proved`: cases name it and all that ran passed; `failed`: one did not; `unproved`: none ran. */
export type RequirementStatus = 'proved' | 'failed' | 'unproved';

export interface RequirementResult {
  readonly requirement: string;
  readonly status: RequirementStatus;
  readonly cases: readonly string[];
}

export interface Report {
  readonly subject: SubjectKind;
  readonly level: Level;
  readonly seconds: number;
  readonly passed: number;
  readonly failed: number;
  readonly notApplicable: number;
  readonly results: readonly Result[];
  readonly requirements: readonly RequirementResult[];
}

export function reportOf(
  subject: SubjectKind,
  level: Level,
  results: readonly Result[],
  seconds: number,
): Report {
  const count = (kind: Outcome['kind']): number =>
    results.filter(({ outcome }) => outcome.kind === kind).length;
  return {
    subject,
    level,
    seconds,
    passed: count('passed'),
    failed: count('failed'),
    notApplicable: count('not-applicable'),
    results,
    requirements: requirementResults(subject, results),
  };
}

/** Everything the subject is answerable for, and whatever else a case proved. */
function requirementResults(subject: SubjectKind, results: readonly Result[]): readonly RequirementResult[] {
  const all = new Set([...answerableOf(subject), ...results.flatMap(({ requirements }) => requirements)]);
  return [...all].toSorted(byNumber).map((requirement) => {
    const about = results.filter(({ requirements }) => requirements.includes(requirement));
    return { requirement, status: statusOf(about), cases: about.map(({ id }) => id) };
  });
}

function statusOf(about: readonly Result[]): RequirementStatus {
  if (about.some(({ outcome }) => outcome.kind === 'failed')) return 'failed';
  return about.some(({ outcome }) => outcome.kind === 'passed') ? 'proved' : 'unproved';
}

/** By letter, then by number. */
export function byNumber(one: string, other: string): number {
  const letters = one.charAt(0).localeCompare(other.charAt(0));
  return letters === 0 ? Number(one.slice(2)) - Number(other.slice(2)) : letters;
}
