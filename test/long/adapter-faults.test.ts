import { describe, it } from 'vitest';
import { createAdapterSuite } from '../../conformance/adapter/suite.ts';
import type { AdapterSubject } from '../../conformance/adapter/subject.ts';
import type { AnswerBody, AskItem } from '../../protocol/session/trusted-link.ts';
import { createNodeRuntime } from '../../protocol/runtime/node-runtime.ts';
import { type Around, bridgeSubject, localSubject } from '../doubles/conformance-adapter.ts';
import { expectCaught, judged } from '../doubles/conformance-report.ts';
import { silentLog } from '../doubles/silent-log.ts';

const runtime = createNodeRuntime(silentLog);
const suiteOf = (subject: AdapterSubject) => createAdapterSuite({ runtime, subject, patience: 3 });
const LIMIT = { timeout: 240_000 };

/** An adapter whose answer to some items is another. */
const lying =
  (lie: (item: AskItem, truth: AnswerBody) => AnswerBody): Around =>
  (answer) =>
  async (item) =>
    lie(item, await answer(item));

const OK: AnswerBody = { result: 'ok' };

describe('the suite for adapters', () => {
  const faults: readonly (readonly [
    fault: string,
    open: (around: Around) => Promise<AdapterSubject>,
    around: Around,
    caught: string,
  ])[] = [
    [
      'says ok to what it cannot do',
      localSubject,
      lying((_item, truth) => (truth.result === 'refused' ? OK : truth)),
      'ADP-T-04-job-verify',
    ],
    ['keeps what it handed over to itself', localSubject, once(), 'ADP-T-12'],
    [
      'never says that there is more',
      localSubject,
      lying((_item, truth) => (truth.result === 'jobs' ? { ...truth, more: false } : truth)),
      'ADP-T-13',
    ],
    [
      'finds every result right',
      bridgeSubject,
      lying((item, truth) =>
        item.op === 'verify' && truth.result === 'mismatch'
          ? { result: 'verified', files: item.manifest }
          : truth,
      ),
      'ADP-T-56',
    ],
    [
      'discards what it registered',
      bridgeSubject,
      lying((item, truth) => (item.op === 'discard' ? OK : truth)),
      'ADP-T-61',
    ],
    [
      'registers what it discarded',
      bridgeSubject,
      lying((item, truth) => (item.op === 'finalise' ? OK : truth)),
      'ADP-T-62',
    ],
    [
      'forgets to discard',
      bridgeSubject,
      (answer) => async (item) => (item.op === 'discard' ? OK : answer(item)),
      'ADP-T-63',
    ],
    [
      'makes no capabilities',
      bridgeSubject,
      lying((_item, truth) => (truth.result === 'capabilities' ? { ...truth, capabilities: [] } : truth)),
      'ADP-T-51',
    ],
  ];

  it.each(faults)('catches one that %s', LIMIT, async (_fault, open, around, caught) => {
    expectCaught(await judged(suiteOf(await open(around)), { only: [caught] }), [caught]);
  });
});

/** Hands every job over once, whether it was accepted or not. */
function once(): Around {
  const handed = new Set<string>();
  return lying((_item, truth) => {
    if (truth.result !== 'jobs') return truth;
    const jobs = truth.jobs.filter(({ job }) => !handed.has(job));
    for (const { job } of jobs) handed.add(job);
    return { ...truth, jobs };
  });
}
