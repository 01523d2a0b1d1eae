import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LiveAgent } from '../../doubles/live-agent.ts';
import { type LiveBroker, openLiveBroker } from '../../doubles/live-broker.ts';

let broker: LiveBroker;
let agent: LiveAgent;

beforeAll(async () => {
  broker = await openLiveBroker();
  agent = await broker.agent();
});

afterAll(() => broker.close());

const REQUEST = { kind: 'request', slot: 1, counter: 1, ad: { OpSys: 'LINUX' }, seen: [] };
const LEASE = { job: 'a'.repeat(26), attempt: 1 };
const NUL = String.fromCharCode(0);

function nested(depth: number, open: string, close: string): string {
  return open.repeat(depth) + close.repeat(depth);
}

function text(change: object): string {
  return JSON.stringify({ ...REQUEST, ...change });
}

/** What the sealed frame holds, and the code it is answered with. */
const JUNK: readonly (readonly [what: string, message: string | Uint8Array, code: string])[] = [
  ['no JSON', '{"kind":"request"', 'MALFORMED_MESSAGE'],
  ['two messages in one', `${text({})}${text({})}`, 'MALFORMED_MESSAGE'],
  ['bytes that are no UTF-8', Uint8Array.of(0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d), 'MALFORMED_MESSAGE'],
  ['32 KiB of one letter', 'x'.repeat(32 * 1024), 'MALFORMED_MESSAGE'],
  ['null', 'null', 'UNKNOWN_KIND'],
  ['a list', `[${text({})}]`, 'UNKNOWN_KIND'],
  ['lists in lists, 16,000 deep', nested(16_000, '[', ']'), 'UNKNOWN_KIND'],
  ['objects in objects, 4,000 deep', `${'{"a":'.repeat(4_000)}1${'}'.repeat(4_000)}`, 'UNKNOWN_KIND'],
  ['a kind that is a name of every object', '{"kind":"constructor"}', 'UNKNOWN_KIND'],
  ['a kind that is no text', '{"kind":["request"]}', 'UNKNOWN_KIND'],
  ["a broker's word", '{"kind":"welcome","agent":"x"}', 'UNKNOWN_KIND'],
  ["an adapter's word", '{"kind":"ask","items":[]}', 'UNKNOWN_KIND'],
  ['a request without its ad', text({ ad: undefined }), 'MALFORMED_MESSAGE'],
  ['a field that nobody knows', text({ agent: 'b'.repeat(26) }), 'MALFORMED_MESSAGE'],
  ['a field called __proto__', `{"__proto__":{"slot":9},${text({}).slice(1)}`, 'MALFORMED_MESSAGE'],
  ['an ad 8,000 deep', text({}).replace('"LINUX"', nested(8_000, '[', ']')), 'MALFORMED_MESSAGE'],
  ['an ad with 65 attributes', text({ ad: attributes(65) }), 'MALFORMED_MESSAGE'],
  ['an attribute that is an expression', text({ ad: { Cpus: { expr: '1/0' } } }), 'MALFORMED_MESSAGE'],
  ['slot 64', text({ slot: 64 }), 'MALFORMED_MESSAGE'],
  ['slot -1', text({ slot: -1 }), 'MALFORMED_MESSAGE'],
  ['slot 1.5', text({ slot: 1.5 }), 'MALFORMED_MESSAGE'],
  ['counter 0', text({ counter: 0 }), 'MALFORMED_MESSAGE'],
  ['a counter beyond all numbers', text({}).replace('"counter":1', '"counter":1e999'), 'MALFORMED_MESSAGE'],
  [
    'a counter that is no safe number',
    text({}).replace('"counter":1', '"counter":9007199254740993'),
    'MALFORMED_MESSAGE',
  ],
  ['65 verdicts seen', text({ seen: Array.from({ length: 65 }, () => LEASE) }), 'MALFORMED_MESSAGE'],
  ['a job that is a path', text({ seen: [{ job: '../../../etc/passwd', attempt: 1 }] }), 'MALFORMED_MESSAGE'],
  ['an attempt below 1', text({ seen: [{ ...LEASE, attempt: 0 }] }), 'MALFORMED_MESSAGE'],
  [
    'a renewal of 65 leases',
    JSON.stringify({
      kind: 'renew',
      slot: 0,
      counter: 1,
      seen: [],
      leases: Array.from({ length: 65 }, () => ({ ...LEASE, progress: 0 })),
    }),
    'MALFORMED_MESSAGE',
  ],
  [
    'progress beyond the end',
    JSON.stringify({ kind: 'renew', slot: 0, counter: 1, seen: [], leases: [{ ...LEASE, progress: 2 }] }),
    'MALFORMED_MESSAGE',
  ],
  [
    'a renewal with a long log',
    JSON.stringify({
      kind: 'renew',
      slot: 0,
      counter: 1,
      seen: [],
      leases: [{ ...LEASE, progress: 0, logTail: 'x'.repeat(257) }],
    }),
    'MALFORMED_MESSAGE',
  ],
  [
    'no files at all',
    JSON.stringify({ kind: 'outputs', slot: 1, counter: 1, ...LEASE, verb: 'put', files: [] }),
    'MALFORMED_MESSAGE',
  ],
  [
    'a file name with NUL',
    JSON.stringify({
      kind: 'outputs',
      slot: 1,
      counter: 1,
      ...LEASE,
      verb: 'put',
      files: [{ name: `a${NUL}b`, size: 1, sha256: '0'.repeat(64) }],
    }),
    'MALFORMED_MESSAGE',
  ],
  [
    'a verb of its own',
    JSON.stringify({
      kind: 'outputs',
      slot: 1,
      counter: 1,
      ...LEASE,
      verb: 'delete',
      files: [{ name: 'a', size: 1, sha256: '0'.repeat(64) }],
    }),
    'MALFORMED_MESSAGE',
  ],
  [
    'a reason of its own',
    JSON.stringify({ kind: 'release', slot: 1, counter: 1, ...LEASE, reason: '$(reboot)' }),
    'MALFORMED_MESSAGE',
  ],
];

function attributes(count: number): Readonly<Record<string, number>> {
  return Object.fromEntries(Array.from({ length: count }, (_, at) => [`A${at}`, at]));
}

describe('a sealed frame that holds', () => {
  it.each(JUNK)('%s is refused (I9)', async (_what, message, code) => {
    agent.raw.sayBytes(typeof message === 'string' ? new TextEncoder().encode(message) : message);
    const error = await agent.raw.hear('error');
    // Where the message cannot be read its slot and counter cannot be named.
    expect(error).toMatchObject({ slot: 0, counter: 1, code });
    expect(error.message.length).toBeLessThanOrEqual(500);
  });

  it.each([
    [
      'an ad that names an attribute twice',
      { kind: 'request', ad: { Cpus: 1, cpus: 2 }, seen: [] },
      'MALFORMED_MESSAGE',
    ],
    ['a request in slot 0', { kind: 'request', slot: 0, ad: {}, seen: [] }, 'MALFORMED_MESSAGE'],
    ['a renewal in slot 1', { kind: 'renew', slot: 1, leases: [], seen: [] }, 'MALFORMED_MESSAGE'],
    [
      'a call for an attempt it does not hold',
      { kind: 'call', ...LEASE, method: 'getJob', body: '' },
      'ATTEMPT_NOT_LIVE',
    ],
    ['parts of one', { kind: 'parts', ...LEASE, verb: 'take', parts: [] }, 'ATTEMPT_NOT_LIVE'],
  ])('%s is answered by its slot and counter', async (_what, message, code) => {
    expect(await agent.ask(message)).toMatchObject({ kind: 'error', code });
  });

  it('and nothing of it was remembered: the agent works on in the same session', async () => {
    const job = broker.submit();
    expect(await agent.work()).toMatchObject({ job, verdict: 'committed' });
    expect((await broker.end(job)).progress.state).toBe('finished');
  });
});

describe('a frame that no session sealed', () => {
  it('is dropped without a word, whatever it is', async () => {
    const job = broker.submit();
    const stranger = await broker.agent();
    for (const length of [0, 1, 15, 16, 17, 64, 1_000, 60_000])
      stranger.raw.sendFrame(new Uint8Array(length).fill(length % 256));
    expect(await stranger.work()).toMatchObject({ job, verdict: 'committed' });
  });
});
