import { describe, expect, it } from 'vitest';
import { createAdapterSuite } from '../../../conformance/adapter/suite.ts';
import type { AdapterSubject } from '../../../conformance/adapter/subject.ts';
import { createNodeRuntime } from '../../../protocol/runtime/node-runtime.ts';
import { bridgeSubject, localSubject } from '../../doubles/conformance-adapter.ts';
import { expectAllPassed, judged } from '../../doubles/conformance-report.ts';
import { silentLog } from '../../doubles/silent-log.ts';

const runtime = createNodeRuntime(silentLog);
const suiteOf = (subject: AdapterSubject) => createAdapterSuite({ runtime, subject, patience: 3 });
const LIMIT = { timeout: 240_000 };

describe('the suite for adapters', () => {
  it('finds nothing wrong with the local job adapter', LIMIT, async () => {
    expectAllPassed(await judged(suiteOf(await localSubject()), { level: 'robust' }), 35);
  });

  it('finds nothing wrong with the Data Bridge', LIMIT, async () => {
    expectAllPassed(await judged(suiteOf(await bridgeSubject()), { level: 'robust' }), 90);
  });

  it('has at least thirty cases of its own for each kind', () => {
    const ids = createAdapterSuite({
      runtime,
      subject: { kind: 'job', start: () => Promise.reject(new Error('not started')) },
      patience: 1,
    }).cases.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.filter((id) => !id.startsWith('ADP-C-')).length).toBeGreaterThanOrEqual(60);
  });
});
