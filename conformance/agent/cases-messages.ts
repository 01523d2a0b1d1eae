import { bytesOf, hex, newId } from '../../protocol/encoding.ts';
import type { VerdictItem } from '../../protocol/generated/types.ts';
import { expect } from '../expectation.ts';
import type { AgentCase } from './agent-case.ts';
import { invalidExamples } from './examples.ts';
import { cancel, holds } from './deeds.ts';
import { script } from './jobs.ts';
import type { Stage } from './stage.ts';

const WATCH_MS = 500;
const BROKER_KINDS = [
  'welcome',
  'farewell',
  'job',
  'none',
  'renewed',
  'capabilities',
  'reported',
  'released',
  'error',
  'notice',
] as const;

/** Bytes in place of a right `none`, which would make the agent ask anew. */
const MALFORMED: readonly {
  readonly what: string;
  readonly change: (text: string) => string | Uint8Array;
}[] = [
  { what: 'that is not JSON', change: (text) => text.slice(0, -1) },
  { what: 'with a byte order mark', change: (text) => `\uFEFF${text}` },
  {
    what: 'that is not UTF-8',
    change: (text) => Buffer.concat([bytesOf(text.slice(0, -1)), Uint8Array.of(0xff, 0x7d)]),
  },
  { what: 'with a field the schema does not name', change: (text) => text.replace('{', '{"extra":1,') },
  { what: 'of a kind there is not', change: (text) => text.replace('"none"', '"nothing"') },
  { what: 'of a kind that only agents have', change: (text) => text.replace('"none"', '"request"') },
  { what: 'that lacks its verdicts', change: (text) => text.replace(',"verdicts":[]', '') },
  { what: 'whose counter is a text', change: (text) => text.replace(/"counter":(\d+)/, '"counter":"$1"') },
  {
    what: 'whose wait is negative',
    change: (text) => text.replace('"retryAfterSeconds":0', '"retryAfterSeconds":-1'),
  },
  { what: 'in an array', change: (text) => `[${text}]` },
  {
    what: 'with 65 verdicts',
    change: (text) => text.replace('"verdicts":[]', `"verdicts":${JSON.stringify(manyVerdicts(65))}`),
  },
];

/** M: messages, slots, counters, errors and last words. */
export const messageCases: readonly AgentCase[] = [
  ...MALFORMED.map(
    ({ what, change }, index): AgentCase => ({
      id: `AGT-M-${101 + index}`,
      title: `does nothing for a message ${what}`,
      requirements: ['M-1', 'X-1'],
      level: 'full',
      async run(stage) {
        await stage.parked();
        const changed = change(JSON.stringify(noneOf(stage)));
        const bytes = typeof changed === 'string' ? bytesOf(changed) : new Uint8Array(changed);
        stage.desk.put(stage.line, stage.line.sealMessage(bytes));
        await nothingHappens(stage);
        await stage.proves();
      },
    }),
  ),
  ...BROKER_KINDS.map(
    (kind, index): AgentCase => ({
      id: `AGT-M-${201 + index}`,
      title: `does nothing for any invalid example of ${kind}`,
      requirements: ['M-1', 'X-1'],
      level: 'full',
      async run(stage) {
        const { slot, counter } = await stage.parked();
        for (const { message } of invalidExamples(kind)) {
          const fitting = {
            ...message,
            ...('slot' in message && { slot }),
            ...('counter' in message && { counter }),
          };
          stage.say(fitting);
        }
        await nothingHappens(stage);
        await stage.proves();
      },
    }),
  ),
  {
    id: 'AGT-M-001',
    title: 'ignores an answer to another counter, an earlier and a later one',
    requirements: ['M-6'],
    level: 'full',
    async run(stage) {
      const { counter } = await stage.parked();
      for (const other of [counter + 1, counter + 100, Math.max(1, counter - 1)])
        if (other !== counter) stage.say({ ...noneOf(stage), counter: other });
      await nothingHappens(stage);
      await stage.proves();
    },
  },
  {
    id: 'AGT-M-002',
    title: 'ignores an answer to another slot',
    requirements: ['M-6'],
    level: 'full',
    async run(stage) {
      await stage.parked();
      for (const slot of [0, 62, 63]) stage.say({ ...noneOf(stage), slot });
      await nothingHappens(stage);
      await stage.proves();
    },
  },
  {
    id: 'AGT-M-003',
    title: 'ignores an answer of another kind than it asked for',
    requirements: ['M-6'],
    level: 'robust',
    async run(stage) {
      const { slot, counter } = await stage.parked();
      const attempt = { job: newId(stage.runtime.random), attempt: 1 };
      stage.say({ kind: 'released', slot, counter, ...attempt, verdicts: [] });
      stage.say({ kind: 'capabilities', slot, counter, ...attempt, capabilities: [], verdicts: [] });
      stage.say({ kind: 'renewed', slot, counter, leases: [], verdicts: [] });
      await nothingHappens(stage);
      await stage.proves();
    },
  },
  {
    id: 'AGT-M-004',
    title: 'ignores verdicts about attempts it knows nothing of',
    requirements: ['M-1', 'V-10'],
    level: 'robust',
    async run(stage) {
      await stage.parked();
      const { slot, counter } = await stage.parked();
      stage.say({ ...noneOf(stage), verdicts: manyVerdicts(64) });
      await stage.until('a new request', () =>
        stage.clerk.parked !== undefined &&
        stage.clerk.parked.counter > counter &&
        stage.clerk.parked.slot === slot
          ? true
          : undefined,
      );
      await stage.proves();
    },
  },
  {
    id: 'AGT-M-005',
    title: 'counts up in every slot',
    requirements: ['M-7', 'M-5', 'M-3'],
    level: 'core',
    async run(stage) {
      let last = (await stage.parked()).counter;
      for (let n = 0; n < 4; n += 1) {
        await stage.proves();
        const { counter } = await stage.parked();
        expect(counter > last, `its counter went from ${last} to ${counter}`);
        last = counter;
      }
    },
  },
  {
    id: 'AGT-M-006',
    title: 'goes on above the counters of the welcome',
    requirements: ['M-12', 'M-7'],
    level: 'full',
    start: 'cold',
    async run(stage) {
      for (let slot = 1; slot < 64; slot += 1) stage.clerk.floors.set(slot, 1000 + slot);
      await stage.start();
      await stage.session();
      const { slot, counter } = await stage.parked();
      expect(counter > 1000 + slot, `its counter is ${counter}, and the welcome said ${1000 + slot}`);
    },
  },
  {
    id: 'AGT-M-007',
    title: 'says what has no answer again on a new session, with its counter',
    requirements: ['M-12'],
    level: 'full',
    start: 'spent',
    async run(stage) {
      const before = await stage.parked();
      const fromMs = performance.now();
      stage.gate.cut();
      const again = await stage.until(
        'the request again',
        () => stage.clerk.since('request', fromMs).find(({ message }) => message.slot === before.slot),
        10_000,
      );
      expect(
        again.message.counter === before.counter,
        `it asked under counter ${again.message.counter}, and ${before.counter} has no answer`,
      );
    },
  },
  {
    id: 'AGT-M-008',
    title: 'takes a new counter where the broker has passed the one without an answer',
    requirements: ['M-12', 'M-7'],
    level: 'full',
    start: 'spent',
    async run(stage) {
      const { slot, counter } = await stage.parked();
      stage.clerk.floors.set(slot, counter + 10);
      const fromMs = performance.now();
      stage.gate.cut();
      const again = await stage.until(
        'a request',
        () => stage.clerk.since('request', fromMs).find(({ message }) => message.slot === slot),
        10_000,
      );
      expect(again.message.counter > counter + 10, `it asked under counter ${again.message.counter}`);
    },
  },
  {
    id: 'AGT-M-009',
    title: 'repeats a report that is not answered after about 5 s, the same, in a new frame',
    requirements: ['M-13', 'M-7', 'F-2'],
    level: 'robust',
    async run(stage) {
      stage.clerk.manners.report = () => 'nothing';
      const lease = await stage.gives(script('true'));
      const first = await stage.hears('report', ({ message }) => message.job === lease.job, 20_000);
      delete stage.clerk.manners.report;
      const again = await stage.hears('report', ({ message }) => message.job === lease.job, 15_000);
      const gapMs = again.atMs - first.atMs;
      expect(again.isRepeat, 'it reported under another counter');
      expect(gapMs > 3000 && gapMs < stage.ms(9000), `it repeated it after ${Math.round(gapMs)} ms`);
    },
  },
  {
    id: 'AGT-M-010',
    title: 'has one message without an answer in a slot',
    requirements: ['M-6'],
    level: 'full',
    async run(stage) {
      stage.clerk.manners.report = () => 'nothing';
      const lease = await stage.gives(script('true'));
      const { message } = await stage.hears('report', (heard) => heard.message.job === lease.job, 20_000);
      const fromMs = performance.now();
      await stage.never(() => {
        const others = stage.clerk.heard.filter(
          (heard) => heard.atMs > fromMs && heard.message.slot === message.slot && !heard.isRepeat,
        );
        return others.length > 0 ? `it said ${others[0]?.message.kind ?? ''} meanwhile` : undefined;
      }, 3000);
      delete stage.clerk.manners.report;
      await stage.hears('report', (heard) => heard.message.job === lease.job, 15_000);
    },
  },
  {
    id: 'AGT-M-011',
    title: 'does not poll while its request is parked',
    requirements: ['M-15', 'M-13'],
    level: 'full',
    withinSeconds: 60,
    async run(stage) {
      await stage.parked();
      const before = stage.clerk.heard.length;
      await stage.never(() => (stage.clerk.heard.length > before ? 'it asked again' : undefined), 20_000);
    },
  },
  ...(
    [
      'no-work',
      'busy',
      'cooling-down',
      'too-many-attempts',
      'no-match',
      'draining',
      'storage-unavailable',
    ] as const
  ).map(
    (reason, index): AgentCase => ({
      id: `AGT-M-${301 + index}`,
      title: `waits as long as \`none\` with ${reason} says, and then asks again`,
      requirements: ['M-17'],
      level: index < 2 ? 'core' : 'full',
      async run(stage) {
        const { slot } = await stage.parked();
        const retryAfterSeconds = 2;
        const fromMs = performance.now();
        stage.clerk.none({ reason, retryAfterSeconds });
        const next = await stage.until(
          'the next request',
          () => stage.clerk.since('request', fromMs).find(({ message }) => message.slot === slot),
          12_000,
        );
        const waitedMs = next.atMs - fromMs;
        expect(
          waitedMs >= retryAfterSeconds * 1000 - CLOCK_MS,
          `it asked again after ${Math.round(waitedMs)} ms, where it was told to wait ${retryAfterSeconds} s`,
        );
      },
    }),
  ),
  ...['INTERNAL', 'LEDGER_UNAVAILABLE', 'SOMETHING_NEW'].map(
    (code, index): AgentCase => ({
      id: `AGT-M-${401 + index}`,
      title: `says the same again, with the same counter, after an error ${code}`,
      requirements: ['M-19'],
      level: 'full',
      async run(stage) {
        let errors = 0;
        stage.clerk.manners.report = ({ slot, counter }) =>
          errors++ === 0 ? { kind: 'error', slot, counter, code, message: 'as the case says' } : undefined;
        const lease = await stage.gives(script('true'));
        await stage.hears('report', ({ message }) => message.job === lease.job, 20_000);
        const again = await stage.hears('report', ({ message }) => message.job === lease.job, 15_000);
        expect(again.isRepeat, 'it reported under another counter');
      },
    }),
  ),
  ...['BAD_SIGNATURE', 'MALFORMED_MESSAGE', 'NOT_AUTHORIZED', 'UNSUPPORTED'].map(
    (code, index): AgentCase => ({
      id: `AGT-M-${411 + index}`,
      title: `does not say the same again after an error ${code}, and goes on`,
      requirements: ['M-19'],
      level: 'full',
      async run(stage) {
        await refusesTheReport(stage, code);
      },
    }),
  ),
  {
    id: 'AGT-M-421',
    title: 'lets go of an attempt whose report is answered ATTEMPT_NOT_LIVE, and asks for work',
    requirements: ['M-19'],
    level: 'core',
    run: (stage) => refusesTheReport(stage, 'ATTEMPT_NOT_LIVE'),
  },
  {
    id: 'AGT-M-422',
    title: 'makes a new handshake after STALE_COUNTER, and goes on above what the welcome says',
    requirements: ['M-19', 'M-12'],
    level: 'full',
    start: 'spent',
    async run(stage) {
      const { slot, counter } = await stage.parked();
      const before = stage.desk.lines.length;
      stage.clerk.floors.set(slot, counter + 50);
      const fromMs = performance.now();
      stage.say({ kind: 'error', slot, counter, code: 'STALE_COUNTER', message: 'as the case says' });
      await stage.until('a new session', () => stage.desk.lines[before], 15_000);
      const next = await stage.until('a request', () => stage.clerk.since('request', fromMs)[0]);
      expect(next.message.counter > counter + 50, `it asked under counter ${next.message.counter}`);
    },
  },
  {
    id: 'AGT-M-423',
    title: 'does nothing for an error about a message it did not say',
    requirements: ['M-19', 'M-6'],
    level: 'robust',
    async run(stage) {
      await stage.parked();
      for (const code of ['ATTEMPT_NOT_LIVE', 'UNSUPPORTED', 'INTERNAL'])
        stage.say({ kind: 'error', slot: 0, counter: 9_000_000, code, message: 'as the case says' });
      await nothingHappens(stage);
      await stage.proves();
    },
  },
  {
    id: 'AGT-M-501',
    title: 'renews at once when a notice says so',
    requirements: ['M-20', 'L-9'],
    level: 'robust',
    async run(stage) {
      const lease = await holds(stage, script('sleep 60'));
      stage.say({ kind: 'notice', command: 'renew-now' });
      await stage.hears('renew', ({ message }) => message.leases.some(({ job }) => job === lease.job), 3000);
      await cancel(stage, lease.job);
    },
  },
  {
    id: 'AGT-M-502',
    title: 'takes no new work after a notice to drain, and finishes what it has',
    requirements: ['M-20'],
    level: 'full',
    start: 'spent',
    async run(stage) {
      const lease = await holds(stage, script('sleep 4'));
      stage.say({ kind: 'notice', command: 'drain' });
      const fromMs = performance.now();
      const report = await stage.report(lease);
      expect(report.next === undefined, 'it asked for the next job in its report');
      await stage.never(
        () => (stage.clerk.since('request', fromMs).length > 0 ? 'it asked for work' : undefined),
        2000,
      );
    },
  },
  ...['REVOKED', 'BANNED', 'QUARANTINED', 'SUPERSEDED', 'OTHER_OWNER'].map(
    (code, index): AgentCase => ({
      id: `AGT-M-${511 + index}`,
      title: `ends when a farewell says ${code}`,
      requirements: ['M-21'],
      level: code === 'REVOKED' ? 'core' : 'full',
      start: 'spent',
      async run(stage) {
        await stage.parked();
        stage.say({ kind: 'farewell', code, message: 'as the case says' });
        await stage.until('its end', () => stage.program?.ended, 20_000);
      },
    }),
  ),
  {
    id: 'AGT-M-521',
    title: 'may come back after another farewell, but not more often than every ten seconds',
    requirements: ['M-21'],
    level: 'full',
    start: 'spent',
    withinSeconds: 60,
    async run(stage) {
      await stage.parked();
      const { desk } = stage;
      const before = desk.lines.length;
      const handshakes = desk.message1s.length;
      let answered = before;
      stage.greets = false;
      stage.say(FAREWELL);
      await stage.never(() => {
        for (const line of desk.lines.slice(answered)) desk.say(line, FAREWELL);
        answered = desk.lines.length;
        const frames = desk.message1s.slice(handshakes);
        const begunMs = frames
          .filter(({ frame }, at) => frames.findIndex((other) => hex(other.frame) === hex(frame)) === at)
          .map(({ atMs }) => atMs);
        return begunMs.some((atMs, at) => at > 0 && atMs - (begunMs[at - 1] ?? 0) < COME_BACK_MS)
          ? 'it came back twice within ten seconds'
          : undefined;
      }, 14_000);
    },
  },
];

/** Timers and clocks differ by that much. */
const CLOCK_MS = 20;
/** Ten seconds, and what a busy machine takes off them. */
const COME_BACK_MS = 9500;
const FAREWELL = { kind: 'farewell', code: 'INTERNAL', message: 'as the case says' };

async function refusesTheReport(stage: Stage, code: string): Promise<void> {
  stage.clerk.manners.report = ({ slot, counter, job, attempt }) => {
    const deal = stage.clerk.dealOf({ job, attempt });
    if (deal !== undefined) deal.state = 'ended';
    return { kind: 'error', slot, counter, code, message: 'as the case says' };
  };
  const lease = await stage.gives(script('true'));
  const { message, atMs } = await stage.hears('report', (heard) => heard.message.job === lease.job, 20_000);
  await stage.parked();
  await stage.never(
    () =>
      stage.clerk
        .since('report', atMs + 1)
        .some((heard) => heard.message.job === lease.job && heard.message.counter === message.counter)
        ? 'it reported the same again'
        : undefined,
    7000,
  );
  await stage.proves();
}

function noneOf(stage: Stage): { readonly kind: 'none'; readonly slot: number; readonly counter: number } {
  const { slot = 1, counter = 1 } = stage.clerk.parked ?? {};
  const none = { reason: 'no-work', retryAfterSeconds: 0 };
  return { kind: 'none', slot, counter, ...{ none, verdicts: [] } };
}

function manyVerdicts(count: number): readonly VerdictItem[] {
  return Array.from({ length: count }, (_, at) => ({
    job: `${'a'.repeat(24)}${String.fromCharCode(97 + (at % 26))}${String.fromCharCode(97 + Math.floor(at / 26))}`,
    attempt: 1,
    verdict: 'committed' as const,
    reason: '',
  }));
}

async function nothingHappens(stage: Stage): Promise<void> {
  const before = stage.clerk.heard.length;
  const handshakes = stage.desk.message1s.length;
  await stage.never(
    () =>
      stage.clerk.heard.length > before
        ? `it said ${stage.clerk.heard.at(-1)?.message.kind ?? ''}`
        : stage.desk.message1s.length > handshakes
          ? 'it began a new handshake'
          : stage.program?.ended !== undefined
            ? 'it ended'
            : undefined,
    WATCH_MS,
  );
}
