/** Holds our own agent or broker against one case of its conformance suite: `node test/mutants/conformance-case.ts CASE`. */
import { SubjectUnavailable } from '../../conformance/case.ts';
import { createBrokerSuite } from '../../conformance/broker/suite.ts';
import type { Report } from '../../conformance/report.ts';
import { resultLine } from '../../conformance/report-text.ts';
import { runSuite } from '../../conformance/run.ts';
import { createNodeRuntime } from '../../protocol/runtime/node-runtime.ts';
import { conform, OUR_BARE_AGENT } from '../doubles/agent-conformance.ts';
import { conformanceSubject } from '../doubles/conformance-broker.ts';
import { openLiveBroker } from '../doubles/live-broker.ts';
import { silentLog } from '../doubles/silent-log.ts';
import { NO_JUDGEMENT } from './catch.ts';

/** A machine that does other things too takes longer. */
const PATIENCE = 3;

function judge(id: string): Promise<Report> {
  return id.startsWith('AGT-') ? conform(OUR_BARE_AGENT, 'robust', PATIENCE, [id]) : judgeBroker(id);
}

async function judgeBroker(id: string): Promise<Report> {
  const live = await openLiveBroker();
  try {
    const subject = await conformanceSubject(live);
    const suite = createBrokerSuite({ runtime: createNodeRuntime(silentLog), subject, patience: PATIENCE });
    const { signal } = new AbortController();
    return await runSuite(suite, { level: 'robust', only: [id], atOnce: 1, patience: PATIENCE, signal });
  } finally {
    await live.close();
  }
}

async function main(id: string): Promise<number> {
  try {
    const { results, passed, failed } = await judge(id);
    for (const result of results) console.log(resultLine(result));
    if (failed > 0) return 1;
    return passed > 0 ? 0 : NO_JUDGEMENT;
  } catch (caught) {
    if (!(caught instanceof SubjectUnavailable)) throw caught;
    console.error(caught.message);
    return NO_JUDGEMENT;
  }
}

process.exitCode = await main(process.argv[2] ?? '');
