import { afterEach, describe, it } from 'vitest';
import type { AnswerAsk } from '../../adapters/adapter-program.ts';
import { openSqliteLedger } from '../../broker/ledger/sqlite.ts';
import type { Ledger } from '../../broker/ledger/ledger.ts';
import { createBrokerSuite } from '../../conformance/broker/suite.ts';
import { createNodeRuntime } from '../../protocol/runtime/node-runtime.ts';
import { conformanceSubject } from '../doubles/conformance-broker.ts';
import { expectCaught, judged } from '../doubles/conformance-report.ts';
import { type LiveBroker, type LiveBrokerOptions, openLiveBroker } from '../doubles/live-broker.ts';
import { silentLog } from '../doubles/silent-log.ts';

const LIMIT = { timeout: 240_000 };
const runtime = createNodeRuntime(silentLog);
let live: LiveBroker | undefined;

async function suiteOf(options: LiveBrokerOptions = {}, patience = 1) {
  live = await openLiveBroker(options);
  return createBrokerSuite({ runtime, subject: await conformanceSubject(live), patience });
}

afterEach(async () => {
  await live?.close();
  live = undefined;
});

/** A broker whose ledger is asked for something else than it should be. */
const asking = (
  change: (...commands: Parameters<Ledger['apply']>) => Parameters<Ledger['apply']>[0],
): LiveBrokerOptions => ({
  async openLedger(options) {
    const ledger = await openSqliteLedger(options);
    const apply = ledger.apply.bind(ledger);
    return Object.assign(ledger, {
      apply: (commands: Parameters<Ledger['apply']>[0]) => apply(change(commands)),
    });
  },
});

const storing = (aroundStorage: (answer: AnswerAsk) => AnswerAsk): LiveBrokerOptions => ({ aroundStorage });

const FAULTS: readonly (readonly [fault: string, options: LiveBrokerOptions, caught: string])[] = [
  [
    'forgets what agents name as seen',
    asking((commands) =>
      commands.map((command) => (command.kind === 'seen' ? { ...command, seen: [] } : command)),
    ),
    'BRK-V-33',
  ],
  [
    'takes every start of an agent for one',
    asking((commands) =>
      commands.map((command) => ('start' in command ? { ...command, start: 'a'.repeat(26) } : command)),
    ),
    'BRK-W-11',
  ],
  [
    'takes any counter for a new one',
    asking((commands) =>
      commands.map((command) =>
        'counter' in command
          ? { ...command, counter: command.counter + Math.floor(1000 * performance.now()) }
          : command,
      ),
    ),
    'BRK-Q-05',
  ],
  [
    'believes every manifest',
    storing((answer) => async (item) => {
      const truth = await answer(item);
      return item.op === 'verify' ? { result: 'verified', files: item.manifest } : truth;
    }),
    'BRK-V-12',
  ],
  [
    'leases without capabilities',
    storing((answer) => async (item) => {
      const truth = await answer(item);
      return truth.result === 'capabilities' ? { ...truth, capabilities: [] } : truth;
    }),
    'BRK-L-01',
  ],
];

describe('the suite for brokers', () => {
  it.each(FAULTS)('catches one that %s', LIMIT, async (_fault, options, caught) => {
    expectCaught(await judged(await suiteOf(options), { only: [caught] }), [caught]);
  });
});
