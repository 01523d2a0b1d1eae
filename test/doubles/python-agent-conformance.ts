import { join } from 'node:path';
import { openAgentSuite } from '../../conformance/agent/suite.ts';
import type { Level } from '../../conformance/case.ts';
import { runSuite } from '../../conformance/run.ts';
import { PYTHON, PYTHON_AGENT } from './python-agent.ts';

/** A machine that does other things too takes longer. */
const PATIENCE = 3;

/** What the suite for agents says of the one in Python. */
export interface Judged {
  readonly passed: number;
  /** Every case that did not pass, with why and what was seen. */
  readonly others: readonly string[];
}

export async function judgePythonAgent(level: Level): Promise<Judged> {
  const agent = join(PYTHON_AGENT, 'agent.py');
  const command = `${PYTHON} -B "${agent}" --directory {directory} --code-file {codeFile}`;
  const { passed, results } = await runSuite(openAgentSuite({ command, without: [], patience: PATIENCE }), {
    level,
    atOnce: 4,
    patience: PATIENCE,
    signal: new AbortController().signal,
  });
  const others = results
    .filter(({ outcome }) => outcome.kind !== 'passed')
    .map(({ id, outcome, evidence }) => `${id}: ${JSON.stringify(outcome)} ${evidence}`);
  return { passed, others };
}
