import { join } from 'node:path';
import { openAgentSuite } from '../../conformance/agent/suite.ts';
import type { Level } from '../../conformance/case.ts';
import type { Report } from '../../conformance/report.ts';
import { runSuite } from '../../conformance/run.ts';

const project = join(import.meta.dirname, '..', '..');
const FILES = '--directory {directory} --code-file {codeFile}';

/** Our agent, as `co-pilot agent run` starts it; jobs without isolation, which is tested elsewhere. */
export const OUR_AGENT = command('co-pilot.ts', `agent run ${FILES} --isolation none`);

/** The same agent without the command line around it, which starts sooner. */
export const OUR_BARE_AGENT = command('agent/program.ts', `${FILES} --isolation none`);

export function faultyAgent(fault: string): string {
  return command('test/doubles/faulty-agent.ts', `--fault ${fault} ${FILES}`);
}

function command(program: string, options: string): string {
  return `"${process.execPath}" --no-warnings "${join(project, program)}" ${options}`;
}

/** A fault of the faulty agent, the case that has to catch it, and some words of why. */
export type Planted = readonly [fault: string, id: string, words: string];

/** Caught within seconds. */
export const PLANTED_SHORT: readonly Planted[] = [
  ['acts-on-replays', 'AGT-F-001', 'it acted on a frame it had seen'],
  ['asks-too-soon', 'AGT-M-301', 'it was told to wait 2 s'],
  ['believes-anybody', 'AGT-S-101', 'it believed the wrong message 2'],
  ['hasty-report', 'AGT-C-031', 'its output is not the copy of its input'],
  ['ignores-tags', 'AGT-F-120', 'it acted on it'],
  ['low-counters', 'AGT-M-006', 'its counter is 1, and the welcome said 1001'],
  ['open-environment', 'AGT-L-003', "the job saw the agent's own environment"],
  ['shows-its-code', 'AGT-E-013', 'E-15: it wrote a code'],
  ['wrong-signature', 'AGT-V-001', 'V-2: the signature of its report does not hold'],
];

/** Caught by waiting for what does not come. */
export const PLANTED_LONG: readonly Planted[] = [
  ['deaf-to-cancel', 'AGT-L-021', 'in vain for a request for work'],
  ['follows-redirects', 'AGT-E-004', 'it followed the redirect'],
  ['forgets-verdicts', 'AGT-V-012', 'in vain for a message that names the verdict'],
  ['keeps-its-start', 'AGT-W-001', 'in vain for a session of the next start'],
  ['never-renews', 'AGT-L-010', 'in vain for a renew'],
  ['takes-any-input', 'AGT-C-011', 'its output is not the copy of its input'],
];

export function conform(
  agent: string,
  level: Level,
  patience: number,
  only?: readonly string[],
): Promise<Report> {
  return runSuite(openAgentSuite({ command: agent, without: [], patience }), {
    level,
    ...(only !== undefined && { only }),
    atOnce: 6,
    patience,
    signal: new AbortController().signal,
  });
}

/** Everything that did not pass, with why. */
export function failures({ results }: Report): readonly string[] {
  return results
    .filter(({ outcome }) => outcome.kind !== 'passed')
    .map(({ id, outcome, evidence }) => `${id}: ${JSON.stringify(outcome)} ${evidence}`);
}
