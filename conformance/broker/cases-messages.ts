import { bytesOf } from '../../protocol/encoding.ts';
import { MAX_MESSAGE_BYTES } from '../../protocol/messages.ts';
import { expect } from '../expectation.ts';
import { concatenate } from '../peer/bytes.ts';
import { MESSAGE } from '../peer/channel.ts';
import { type BrokerCase, core, full, robust } from './broker-case.ts';
import { AGENT_KINDS, type Example, examplesOf } from './examples.ts';
import type { Player } from './player.ts';
import type { Scene } from './scene.ts';

/** For a message whose slot and counter could not be read (M-19). */
const UNREADABLE = { slot: 0, counter: 1 };
const CANARY = 'canary-7d1f';

/** What a right message about an attempt nobody holds is answered with. */
const ANSWERS: Readonly<Record<string, string>> = {
  renew: 'renewed',
  outputs: 'ATTEMPT_NOT_LIVE',
  report: 'BAD_SIGNATURE',
  release: 'ATTEMPT_NOT_LIVE',
  call: 'ATTEMPT_NOT_LIVE',
  parts: 'ATTEMPT_NOT_LIVE',
};

/** Texts that are no message, and how each is refused (M-2). */
const NO_MESSAGES: readonly (readonly [what: string, code: string, bytes: Uint8Array])[] = [
  ['bytes that are not UTF-8', 'MALFORMED_MESSAGE', Uint8Array.of(0x7b, 0xff, 0xfe, 0x7d)],
  ['UTF-8 of a lone surrogate', 'MALFORMED_MESSAGE', Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22)],
  [
    'a byte order mark before it',
    'MALFORMED_MESSAGE',
    concatenate(Uint8Array.of(0xef, 0xbb, 0xbf), renewal()),
  ],
  ['half a message', 'MALFORMED_MESSAGE', renewal().slice(0, 20)],
  ['two messages', 'MALFORMED_MESSAGE', concatenate(renewal(), renewal())],
  ['a trailing comma', 'MALFORMED_MESSAGE', bytesOf('{"kind":"renew",}')],
  ['a comment', 'MALFORMED_MESSAGE', bytesOf('{"kind":"renew"/* */}')],
  ['one byte of zero', 'MALFORMED_MESSAGE', new Uint8Array(1)],
  ['an unknown kind', 'UNKNOWN_KIND', bytesOf('{"kind":"conformance"}')],
  ["a kind of the other direction: the broker's own", 'UNKNOWN_KIND', bytesOf('{"kind":"welcome"}')],
  ['a kind of the trusted side', 'UNKNOWN_KIND', bytesOf('{"kind":"ask","items":[]}')],
  ['a kind of the handshake', 'UNKNOWN_KIND', bytesOf('{"kind":"agent-hello"}')],
  ['a kind that objects inherit', 'UNKNOWN_KIND', bytesOf('{"kind":"constructor"}')],
  ['no kind', 'UNKNOWN_KIND', bytesOf('{"slot":0,"counter":20}')],
  ['a kind that is no text', 'UNKNOWN_KIND', bytesOf('{"kind":["renew"]}')],
  ['a message without any field', 'MALFORMED_MESSAGE', bytesOf('{"kind":"renew"}')],
];

export const MESSAGE_CASES: readonly BrokerCase[] = [
  ...AGENT_KINDS.flatMap((kind) => [
    ...examplesOf(kind, 'valid').map((example) =>
      core(
        `M-ok-${kind}-${example.name}`,
        `takes ${kind} as in valid-${example.name}`,
        requirementsOf(kind),
        (scene) => expectTaken(scene, kind, example),
      ),
    ),
    ...examplesOf(kind, 'invalid').map((example) =>
      full(
        `M-no-${kind}-${example.name}`,
        `refuses ${kind} as in invalid-${example.name}`,
        'M-1 M-2 M-19 X-1',
        async (scene) => {
          const agent = await scene.agent();
          agent.say(example.value);
          await expectRefused(agent, 'MALFORMED_MESSAGE');
        },
      ),
    ),
  ]),
  ...NO_MESSAGES.map(([what, code, bytes], index) =>
    full(
      `M-1${String(index + 1).padStart(2, '0')}`,
      `refuses ${what} with ${code}`,
      'M-1 M-2 M-19',
      async (scene) => {
        const agent = await scene.agent();
        agent.sayBytes(bytes);
        await expectRefused(agent, code);
      },
    ),
  ),
  full('M-201', 'takes a message of 32,768 bytes for what it says', 'F-4 X-2', async (scene) => {
    const agent = await scene.agent();
    agent.sayBytes(padded(MAX_MESSAGE_BYTES));
    await expectRefused(agent, 'UNKNOWN_KIND');
  }),
  full('M-202', 'takes no message of 32,769 bytes', 'F-4 M-2 X-2', async (scene) => {
    const agent = await scene.agent();
    agent.send(agent.channel.frame(concatenate(Uint8Array.of(MESSAGE), padded(MAX_MESSAGE_BYTES + 1))));
    await agent.askFor('renewed', { kind: 'renew', leases: [], seen: [] });
    const codes = agent.heard.items.map((message) => ('code' in message ? message.code : message.kind));
    expect(
      codes.every((code) => code === 'FRAME_TOO_LARGE'),
      `it was answered ${codes.join(', ')}`,
    );
  }),
  full('M-203', 'repeats nothing of what was sent in a refusal', 'M-2', async (scene) => {
    const agent = await scene.agent();
    agent.say({ kind: 'request', slot: 1, counter: 20, ad: {}, seen: [], [CANARY]: CANARY });
    agent.say({ kind: CANARY });
    agent.sayBytes(bytesOf(`{"${CANARY}":`));
    for (let answers = 0; answers < 3; answers++) {
      const { message } = await agent.hear('error');
      expect(!message.includes(CANARY), 'the refusal repeats what was sent');
    }
  }),
  full('M-204', 'takes the last of two fields of one name', 'M-3', async (scene) => {
    const agent = await scene.agent();
    const counter = agent.count(0);
    agent.sayBytes(
      bytesOf(
        `{"kind":"request","kind":"renew","slot":7,"slot":0,"counter":${counter},"leases":[],"seen":[]}`,
      ),
    );
    await agent.answerTo({ slot: 0, counter });
  }),
  full('M-205', 'refuses a message whose prototype is named', 'M-1', async (scene) => {
    const agent = await scene.agent();
    agent.sayBytes(
      bytesOf('{"kind":"renew","slot":0,"counter":20,"leases":[],"seen":[],"__proto__":{"a":1}}'),
    );
    await expectRefused(agent, 'MALFORMED_MESSAGE');
  }),
  robust('M-206', 'survives ten thousand brackets', 'M-1 M-2', async (scene) => {
    const agent = await scene.agent();
    agent.sayBytes(bytesOf(`{"kind":"renew","leases":${'['.repeat(10_000)}${']'.repeat(10_000)}}`));
    await expectRefused(agent, 'MALFORMED_MESSAGE');
  }),
  full('M-207', 'refuses a request in slot 0', 'M-5', (scene) =>
    expectOwnError(scene, { kind: 'request', slot: 0, ad: {}, seen: [] }),
  ),
  full('M-208', 'refuses a release in slot 0', 'M-5', (scene) =>
    expectOwnError(scene, { kind: 'release', slot: 0, ...nobodys(), reason: 'lost' }),
  ),
  full('M-209', 'refuses a renewal in another slot than 0', 'M-5', (scene) =>
    expectOwnError(scene, { kind: 'renew', slot: 1, leases: [], seen: [] }),
  ),
  full('M-210', 'refuses a host ad that names an attribute twice but for its case', 'M-18', (scene) =>
    expectOwnError(scene, { kind: 'request', ad: { Arch: 'X86_64', arch: 'ARM' }, seen: [] }),
  ),
  full(
    'M-211',
    'answers a call and parts of a job whose adapter takes none with UNSUPPORTED',
    'M-22 M-24',
    async (scene) => {
      const agent = await scene.agent();
      const { job, attempt } = await agent.takeJob(await scene.job());
      await agent.expectError('UNSUPPORTED', { kind: 'call', job, attempt, method: 'getJob', body: '' });
      await agent.expectError('UNSUPPORTED', { kind: 'parts', job, attempt, verb: 'take', parts: [] });
    },
  ),
];

/** The answer of each kind by the table of M, with counters of the agent's own. */
async function expectTaken(scene: Scene, kind: string, { value }: Example): Promise<void> {
  const agent = await scene.agent();
  if (kind === 'request') {
    const counter = agent.count(1);
    agent.say({ ...value, slot: 1, counter, ad: { ...ad(value), ConformanceCase: 'no such job' } });
    // It waits for work, or there is some: what it is not is refused.
    await agent.askFor('renewed', { kind: 'renew', leases: [], seen: [] });
    const refusals = agent.heard.items.filter((message) => message.kind === 'error');
    expect(refusals.length === 0, `it was refused: ${JSON.stringify(refusals)}`);
    return;
  }
  const answer = await agent.ask({
    ...value,
    kind,
    slot: kind === 'renew' ? 0 : 1,
    counter: agent.count(kind === 'renew' ? 0 : 1),
  });
  const answered = answer.kind === 'error' ? answer.code : answer.kind;
  expect(answered === ANSWERS[kind], `it was answered ${answered}`);
}

function ad(value: Example['value']): object {
  return typeof value['ad'] === 'object' && value['ad'] !== null ? value['ad'] : {};
}

async function expectRefused(agent: Player, code: string): Promise<void> {
  const answer = await agent.answerTo(UNREADABLE);
  const answered = answer.kind === 'error' ? answer.code : answer.kind;
  expect(answered === code, `it was answered ${answered}, not ${code}`);
  await agent.expectUndisturbed();
}

/** The slot and counter of the message can be read, so the refusal may name them or none. */
async function expectOwnError(scene: Scene, words: Readonly<Record<string, unknown>>): Promise<void> {
  const agent = await scene.agent();
  agent.say({ counter: 900, slot: 1, ...words });
  const { code } = await agent.hear('error');
  expect(code === 'MALFORMED_MESSAGE', `it was refused with ${code}`);
  await agent.expectUndisturbed();
}

function requirementsOf(kind: string): string {
  if (kind === 'call') return 'M-1 M-6 M-22';
  return kind === 'parts' ? 'M-1 M-6 M-24' : 'M-1 M-6';
}

function nobodys() {
  return { job: 'a'.repeat(26), attempt: 1 };
}

function renewal(): Uint8Array {
  return bytesOf('{"kind":"renew","slot":0,"counter":20,"leases":[],"seen":[]}');
}

/** A message of unknown kind of so many bytes. */
function padded(length: number): Uint8Array {
  const [head, tail] = ['{"kind":"unknown","padding":"', '"}'];
  return bytesOf(`${head}${'x'.repeat(length - head.length - tail.length)}${tail}`);
}
