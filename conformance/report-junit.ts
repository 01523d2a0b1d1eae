import type { Report, Result } from './report.ts';

/** JUnit's XML, as build servers read it: one test case for each case, its requirements as properties. */
export function junitReport(report: Report): string {
  const { subject, level, results, failed, notApplicable, seconds } = report;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites tests="${results.length}" failures="${failed}" skipped="${notApplicable}" time="${seconds.toFixed(3)}">`,
    `  <testsuite name="co-pilot conformance ${subject} (${level})" tests="${results.length}" failures="${failed}" skipped="${notApplicable}" time="${seconds.toFixed(3)}">`,
    ...results.flatMap(caseLines),
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

function caseLines({
  id,
  title,
  level,
  requirements,
  outcome,
  seconds,
  evidence,
}: Result): readonly string[] {
  const head = `    <testcase classname="${level}" name="${escape(`${id} ${title}`)}" time="${seconds.toFixed(3)}">`;
  const properties = [
    '      <properties>',
    ...requirements.map((number) => `        <property name="requirement" value="${number}"/>`),
    '      </properties>',
  ];
  switch (outcome.kind) {
    case 'passed':
      return [head, ...properties, '    </testcase>'];
    case 'not-applicable':
      return [head, ...properties, `      <skipped message="${escape(outcome.reason)}"/>`, '    </testcase>'];
    case 'failed':
      return [
        head,
        ...properties,
        `      <failure message="${escape(outcome.reason)}">${escape(evidence)}</failure>`,
        '    </testcase>',
      ];
  }
}

/** What XML 1.0 cannot hold at all becomes a question mark. */
function escape(text: string): string {
  return text
    .replaceAll(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, '?')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
