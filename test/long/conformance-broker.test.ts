import { it } from 'vitest';
import { createBrokerSuite } from '../../conformance/broker/suite.ts';
import { BROKER_CASES } from '../../conformance/broker/cases.ts';
import { createNodeRuntime } from '../../protocol/runtime/node-runtime.ts';
import { conformanceSubject } from '../doubles/conformance-broker.ts';
import { expectAllPassed, judged } from '../doubles/conformance-report.ts';
import { openLiveBroker } from '../doubles/live-broker.ts';
import { silentLog } from '../doubles/silent-log.ts';

it('finds nothing wrong with our own broker, hostile peers included', { timeout: 900_000 }, async () => {
  const live = await openLiveBroker();
  try {
    const subject = await conformanceSubject(live);
    const suite = createBrokerSuite({ runtime: createNodeRuntime(silentLog), subject, patience: 3 });
    expectAllPassed(await judged(suite, { level: 'robust' }), BROKER_CASES.length);
  } finally {
    await live.close();
  }
});
