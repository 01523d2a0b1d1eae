import { afterEach, describe, expect, it } from 'vitest';
import { BROKER_CASES } from '../../../conformance/broker/cases.ts';
import { createBrokerSuite } from '../../../conformance/broker/suite.ts';
import { createNodeRuntime } from '../../../protocol/runtime/node-runtime.ts';
import { conformanceSubject } from '../../doubles/conformance-broker.ts';
import { expectAllPassed, judged } from '../../doubles/conformance-report.ts';
import { type LiveBroker, openLiveBroker } from '../../doubles/live-broker.ts';
import { silentLog } from '../../doubles/silent-log.ts';

const LIMIT = { timeout: 240_000 };
const runtime = createNodeRuntime(silentLog);
let live: LiveBroker | undefined;

async function suiteOf() {
  live = await openLiveBroker();
  return createBrokerSuite({ runtime, subject: await conformanceSubject(live), patience: 3 });
}

afterEach(async () => {
  await live?.close();
  live = undefined;
});

describe('the suite for brokers', () => {
  it('finds nothing wrong with our own broker at level core', LIMIT, async () => {
    const core = BROKER_CASES.filter(({ level }) => level === 'core').length;
    expectAllPassed(await judged(await suiteOf(), { level: 'core' }), core);
  });

  it('has more than ninety cases, at least fifty of them of tampering, each with a name of its own', () => {
    const ids = BROKER_CASES.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.length).toBeGreaterThan(90);
    expect(ids.filter((id) => /^BRK-T[HF]-/.test(id)).length).toBeGreaterThanOrEqual(50);
  });
});
