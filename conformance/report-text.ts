import type { Report, RequirementStatus, Result } from './report.ts';

const MARKS = { passed: 'ok    ', failed: 'FAILED', 'not-applicable': 'n/a   ' } as const;
const MAX_EVIDENCE_LINES = 20;

/** One line for a case that ended. */
export function resultLine({ id, title, outcome, seconds }: Result): string {
  const reason = outcome.kind === 'passed' ? '' : `: ${outcome.reason}`;
  return `${MARKS[outcome.kind]}  ${id}  ${title} (${seconds.toFixed(1)} s)${reason}`;
}

/** For people: what failed and why, then every requirement, then the count. */
export function textReport(report: Report): readonly string[] {
  const failures = report.results.filter(({ outcome }) => outcome.kind === 'failed');
  return [
    ...failures.flatMap(failureLines),
    ...(['failed', 'unproved', 'proved'] as const).flatMap((status) => requirementLines(report, status)),
    countLine(report),
  ];
}

export function countLine({ subject, level, passed, failed, notApplicable, seconds }: Report): string {
  return `${subject}, level ${level}: ${passed} passed, ${failed} failed, ${notApplicable} not applicable, in ${seconds.toFixed(0)} s`;
}

function failureLines(result: Result): readonly string[] {
  const evidence = result.evidence.split('\n').filter((line) => line.trim() !== '');
  return [
    resultLine(result),
    `        requirements: ${result.requirements.join(', ')}`,
    ...evidence.slice(-MAX_EVIDENCE_LINES).map((line) => `        | ${line}`),
  ];
}

function requirementLines({ requirements }: Report, status: RequirementStatus): readonly string[] {
  const those = requirements.filter((entry) => entry.status === status);
  if (those.length === 0) return [];
  if (status === 'failed')
    return [
      'requirements failed:',
      ...those.map((entry) => `  ${entry.requirement}  ${entry.cases.join(', ')}`),
    ];
  return [`requirements ${status}: ${those.map(({ requirement }) => requirement).join(', ')}`];
}
