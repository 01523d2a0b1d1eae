import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../../conformance/case.ts';
import { byNumber, reportOf, type Result } from '../../../conformance/report.ts';
import { junitReport } from '../../../conformance/report-junit.ts';
import { textReport } from '../../../conformance/report-text.ts';

function result(id: string, requirements: readonly string[], outcome: Outcome, evidence = ''): Result {
  return { id, title: 'does <this> & "that"', requirements, level: 'core', outcome, seconds: 1.25, evidence };
}

const PASSED: Outcome = { kind: 'passed' };
const report = reportOf(
  'agent',
  'full',
  [
    result('AGT-M-001', ['M-1', 'M-7'], PASSED),
    result('AGT-M-002', ['M-7'], { kind: 'failed', reason: 'it said <no>\u0000' }, 'first\nlast words'),
    result('AGT-M-003', ['V-13'], { kind: 'not-applicable', reason: 'the agent is without next' }),
  ],
  9,
);

describe('a report', () => {
  it('says of each requirement whether it is proved, failed or unproved, and by which cases', () => {
    const of = (id: string) => report.requirements.find(({ requirement }) => requirement === id);
    expect(of('M-1')).toEqual({ requirement: 'M-1', status: 'proved', cases: ['AGT-M-001'] });
    expect(of('M-7')).toEqual({ requirement: 'M-7', status: 'failed', cases: ['AGT-M-001', 'AGT-M-002'] });
    expect(of('V-13')).toMatchObject({ status: 'unproved' });
    expect(of('L-2')).toEqual({ requirement: 'L-2', status: 'unproved', cases: [] });
  });

  it('orders requirements by letter and number', () => {
    expect(['M-10', 'B-2', 'M-9'].toSorted(byNumber)).toEqual(['B-2', 'M-9', 'M-10']);
  });

  it('as text begins with what failed and why, and ends with the count', () => {
    const lines = textReport(report);
    expect(lines[0]).toContain('FAILED  AGT-M-002');
    expect(lines.join('\n')).toContain('| last words');
    expect(lines.at(-1)).toBe('agent, level full: 1 passed, 1 failed, 1 not applicable, in 9 s');
  });

  it('as JUnit is XML whatever the subject said, with requirements as properties', () => {
    const xml = junitReport(report);
    expect(xml).toContain('tests="3" failures="1" skipped="1"');
    expect(xml).toContain('name="AGT-M-002 does &lt;this&gt; &amp; &quot;that&quot;"');
    expect(xml).toContain('<failure message="it said &lt;no&gt;?">first\nlast words</failure>');
    expect(xml).toContain('<property name="requirement" value="M-7"/>');
    expect(xml).toContain('<skipped message="the agent is without next"/>');
    const opened = xml.match(/<[a-z]+[^>/]*>/g) ?? [];
    const closed = xml.match(/<\/[a-z]+>/g) ?? [];
    expect(opened.length).toBe(closed.length);
  });
});
