import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openAgentSuite } from '../../../conformance/agent/suite.ts';
import { type Level, SubjectUnavailable } from '../../../conformance/case.ts';
import type { Report } from '../../../conformance/report.ts';
import { runSuite } from '../../../conformance/run.ts';

const project = join(import.meta.dirname, '..', '..', '..');
const OURS = `"${process.execPath}" --no-warnings "${project}/co-pilot.ts" agent run --directory {directory} --code-file {codeFile} --isolation none`;

/** A machine that does other things too takes longer. */
const PATIENCE = 3;

function run(command: string, level: Level, only?: readonly string[]): Promise<Report> {
  return runSuite(openAgentSuite({ command, without: [], patience: PATIENCE }), {
    level,
    ...(only !== undefined && { only }),
    atOnce: 4,
    patience: PATIENCE,
    signal: new AbortController().signal,
  });
}

function failures({ results }: Report): readonly string[] {
  return results
    .filter(({ outcome }) => outcome.kind !== 'passed')
    .map(({ id, outcome, evidence }) => `${id}: ${JSON.stringify(outcome)} ${evidence}`);
}

describe('the suite for agents', () => {
  it('finds nothing wrong with our own agent, level core', async () => {
    const report = await run(OURS, 'core');
    expect(failures(report)).toEqual([]);
    expect(report.passed).toBeGreaterThanOrEqual(20);
  });

  it.each([
    ['that is not there', '/there/is/no/such-agent {directory}', 'cannot be started'],
    [
      'that ends at once',
      `"${process.execPath}" -e "console.error(process.argv.length); process.exit(3)"`,
      'code 3',
    ],
  ])('says of a program %s that it is no subject, not that it is wrong', async (_what, command, words) => {
    const running = run(command, 'core', ['AGT-M-005']);
    await expect(running).rejects.toThrow(SubjectUnavailable);
    await expect(running).rejects.toThrow(words);
  });
});

describe('an agent that', () => {
  const faulty = (fault: string): string =>
    `"${process.execPath}" --no-warnings "${project}/test/doubles/faulty-agent.ts" --fault ${fault} --directory {directory} --code-file {codeFile}`;

  const PLANTED = [
    ['acts-on-replays', 'AGT-F-001'],
    ['asks-too-soon', 'AGT-M-301'],
    ['believes-anybody', 'AGT-S-101'],
    ['deaf-to-cancel', 'AGT-L-021'],
    ['follows-redirects', 'AGT-E-004'],
    ['forgets-verdicts', 'AGT-V-012'],
    ['hasty-report', 'AGT-C-031'],
    ['ignores-tags', 'AGT-F-120'],
    ['keeps-its-start', 'AGT-W-001'],
    ['low-counters', 'AGT-M-006'],
    ['never-renews', 'AGT-L-010'],
    ['open-environment', 'AGT-L-003'],
    ['shows-its-code', 'AGT-E-013'],
    ['takes-any-input', 'AGT-C-011'],
    ['wrong-signature', 'AGT-V-001'],
  ] as const;

  it('has none of the faults passes the cases that find them', async () => {
    const report = await run(
      faulty('none'),
      'robust',
      PLANTED.map(([, id]) => id).filter((id) => !id.startsWith('AGT-E')),
    );
    expect(failures(report)).toEqual([]);
  });

  it.concurrent.each(PLANTED)('%s is caught by %s', async (fault, id) => {
    const { results } = await run(faulty(fault), 'robust', [id]);
    expect(results[0]?.outcome.kind).toBe('failed');
  });
});
