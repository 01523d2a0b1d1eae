import { bytesOf } from '../../protocol/encoding.ts';
import { encodeFrame, FRAME_HEADER_BYTES } from '../../protocol/session/header.ts';
import { nonceOf } from '../../protocol/session/noise.ts';
import { expect } from '../expectation.ts';
import type { AgentCase } from './agent-case.ts';
import { CONFIRMATION, type Line, MESSAGE, plaintextOf } from './line.ts';
import { holds } from './deeds.ts';
import { script } from './jobs.ts';
import type { Stage } from './stage.ts';
import { flipped, lengthened, replaced, shortened } from './tamper.ts';

/** How long an agent has to act on what it must drop. */
const WATCH_MS = 400;
const TAG_BYTES = 16;

/** What the bus, or whoever wants to be the broker, can do to a frame. `frame` is right, and would make the agent ask anew. */
const TAMPERED: readonly {
  readonly what: string;
  readonly requirements: readonly string[];
  readonly change: (frame: Uint8Array, line: Line, stage: Stage) => readonly Uint8Array[];
}[] = [
  { what: 'of type 0', requirements: ['H-1'], change: (f) => [replaced(f, 0, [0])] },
  {
    what: 'of types 1, 2 and 3',
    requirements: ['H-1'],
    change: (f) => [1, 2, 3].map((type) => replaced(f, 0, [type])),
  },
  {
    what: 'of type 5 and longer than one has',
    requirements: ['H-1', 'S-23'],
    change: (f) => [replaced(f, 0, [5])],
  },
  {
    what: 'of types 6 and 255',
    requirements: ['H-1'],
    change: (f) => [6, 255].map((type) => replaced(f, 0, [type])),
  },
  { what: 'of suite 0', requirements: ['H-1'], change: (f) => [replaced(f, 1, [0])] },
  { what: 'of suite 2', requirements: ['H-1'], change: (f) => [replaced(f, 1, [2])] },
  {
    what: 'with the high byte of a key id',
    requirements: ['H-1', 'H-2'],
    change: (f) => [replaced(f, 2, [1])],
  },
  {
    what: 'with the low byte of a key id',
    requirements: ['H-1', 'H-2'],
    change: (f) => [replaced(f, 3, [1])],
  },
  {
    what: 'whose session id differs in its first bit',
    requirements: ['S-18', 'H-3'],
    change: (f) => [flipped(f, 4, 7)],
  },
  {
    what: 'whose session id differs in its last bit',
    requirements: ['S-18', 'H-3'],
    change: (f) => [flipped(f, 11)],
  },
  {
    what: 'whose session id is zero',
    requirements: ['S-18', 'H-3'],
    change: (f) => [replaced(f, 4, new Uint8Array(8))],
  },
  {
    what: 'whose session id is that of the other direction',
    requirements: ['S-18', 'H-3'],
    change: (f, line) => [replaced(f, 4, line.options.id)],
  },
  {
    what: 'whose counter is one higher than it was sealed with',
    requirements: ['F-1', 'S-21'],
    change: (f) => [counted(f, (n) => n + 1)],
  },
  {
    what: 'whose counter is a thousand higher',
    requirements: ['F-5', 'S-21'],
    change: (f) => [counted(f, (n) => n + 1000)],
  },
  {
    what: 'whose counter is 2^53',
    requirements: ['H-4'],
    change: (f, line) => [sealedAt(line, 2n ** 53n, f)],
  },
  {
    what: 'whose counter is 2^64 - 1',
    requirements: ['H-4'],
    change: (f, line) => [sealedAt(line, 2n ** 64n - 1n, f)],
  },
  {
    what: 'with the first bit of its text flipped',
    requirements: ['F-9', 'S-21'],
    change: (f) => [flipped(f, FRAME_HEADER_BYTES, 7)],
  },
  {
    what: 'with a bit in the middle flipped',
    requirements: ['F-9', 'S-21'],
    change: (f) => [flipped(f, Math.floor(f.length / 2))],
  },
  {
    what: 'with the last bit before its tag flipped',
    requirements: ['F-9', 'S-21'],
    change: (f) => [flipped(f, -TAG_BYTES - 1)],
  },
  {
    what: 'with a bit of its tag flipped, each byte in turn',
    requirements: ['F-9', 'S-21'],
    change: (f) => Array.from({ length: TAG_BYTES }, (_, at) => flipped(f, -1 - at, at % 8)),
  },
  {
    what: 'with a tag of zeros',
    requirements: ['F-9'],
    change: (f) => [replaced(f, -TAG_BYTES, new Uint8Array(TAG_BYTES))],
  },
  { what: 'whose tag was cut to 15 bytes', requirements: ['F-9'], change: (f) => [shortened(f, 1)] },
  {
    what: 'whose tag was cut to 12 and to 4 bytes',
    requirements: ['F-9'],
    change: (f) => [shortened(f, 4), shortened(f, 12)],
  },
  { what: 'without its tag', requirements: ['F-9'], change: (f) => [shortened(f, TAG_BYTES)] },
  { what: 'with one byte more', requirements: ['F-9', 'S-21'], change: (f) => [lengthened(f, 1)] },
  {
    what: 'with its first byte of text taken out',
    requirements: ['F-9', 'S-21'],
    change: (f) => [withoutByte(f, FRAME_HEADER_BYTES)],
  },
  { what: 'cut to its header', requirements: ['H-1'], change: (f) => [f.slice(0, FRAME_HEADER_BYTES)] },
  {
    what: 'cut to one byte less than the least',
    requirements: ['H-1'],
    change: (f) => [f.slice(0, FRAME_HEADER_BYTES + TAG_BYTES)],
  },
  { what: 'of no bytes, and of one', requirements: ['H-1'], change: (f) => [f.slice(0, 0), f.slice(0, 1)] },
  {
    what: 'sealed with another key',
    requirements: ['S-21', 'F-9'],
    change: (f, line, { runtime }) => {
      const key = runtime.crypto.importSealKey(runtime.random.bytes(32));
      const counter = counterOf(f);
      const text = plaintextOf(MESSAGE, bytesOf('{"kind":"farewell","code":"REVOKED","message":""}'));
      return [
        encodeFrame(
          line.options.peerId,
          counter,
          runtime.crypto.seal(key, nonceOf(counter), new Uint8Array(), text),
        ),
      ];
    },
  },
  {
    what: "sealed with the key of the agent's own direction",
    requirements: ['S-21', 'F-1'],
    change: (f, line, { runtime }) => {
      const counter = counterOf(f);
      const text = plaintextOf(MESSAGE, bytesOf('{"kind":"farewell","code":"REVOKED","message":""}'));
      const sealed = runtime.crypto.seal(line.options.keys.receive, nonceOf(counter), new Uint8Array(), text);
      return [encodeFrame(line.options.peerId, counter, sealed)];
    },
  },
  {
    what: 'that the agent itself sent',
    requirements: ['S-21', 'H-3'],
    change: (_f, line, stage) =>
      stage.desk.frames
        .filter((entry) => entry.line === line)
        .map(({ frame }) => frame)
        .slice(-3),
  },
  {
    what: 'of random bytes under a right header',
    requirements: ['S-21', 'F-9'],
    change: (f, _line, { runtime }) => [
      replaced(f, FRAME_HEADER_BYTES, runtime.random.bytes(f.length - FRAME_HEADER_BYTES)),
    ],
  },
];

/** Right frames with plaintexts the protocol does not have. */
const UNKNOWN: readonly {
  readonly what: string;
  readonly requirements: readonly string[];
  readonly plaintext: (message: Uint8Array) => Uint8Array;
}[] = [
  { what: 'of kind 2', requirements: ['F-3'], plaintext: (message) => plaintextOf(2, message) },
  { what: 'of kind 255', requirements: ['F-3'], plaintext: (message) => plaintextOf(255, message) },
  {
    what: 'that is a confirmation with something after it',
    requirements: ['F-3'],
    plaintext: (message) => plaintextOf(CONFIRMATION, message),
  },
  { what: 'that is a message of no bytes', requirements: ['F-4'], plaintext: () => Uint8Array.of(MESSAGE) },
  {
    what: 'that is a message of one byte too many',
    requirements: ['F-4', 'M-1'],
    plaintext: (message) => {
      const long = new Uint8Array(32 * 1024 + 1).fill(0x20);
      long.set(message);
      return plaintextOf(MESSAGE, long);
    },
  },
];

/** F: frames. */
export const frameCases: readonly AgentCase[] = [
  ...TAMPERED.map(
    ({ what, requirements, change }, index): AgentCase => ({
      id: `AGT-F-${101 + index}`,
      title: `drops a frame ${what}, and its session goes on`,
      requirements,
      level: 'full',
      async run(stage) {
        const { line } = stage;
        await stage.parked();
        const right = noneFor(stage);
        // Sealed and kept back: the tampered ones come in its place.
        const frame = line.sealMessage(right);
        for (const wrong of change(frame, line, stage)) stage.desk.put(line, wrong);
        await nothingHappens(stage);
        await stage.proves();
      },
    }),
  ),
  ...UNKNOWN.map(
    ({ what, requirements, plaintext }, index): AgentCase => ({
      id: `AGT-F-${201 + index}`,
      title: `drops a plaintext ${what}, and its session goes on`,
      requirements,
      level: 'full',
      async run(stage) {
        await stage.parked();
        stage.desk.put(stage.line, stage.line.seal(plaintext(noneFor(stage))));
        await nothingHappens(stage);
        await stage.proves();
      },
    }),
  ),
  {
    id: 'AGT-F-001',
    title: 'acts once on a frame that comes again and again',
    requirements: ['F-5'],
    level: 'full',
    run: (stage) =>
      whileRenewing(stage, async (line, renewals) => {
        const frame = line.sealMessage(RENEW_NOW);
        stage.desk.put(line, frame);
        await stage.until('a renewal', () => (renewals() === 1 ? true : undefined));
        for (let n = 0; n < 3; n += 1) stage.desk.put(line, frame);
        await stage.never(() => (renewals() > 1 ? 'it acted on a frame it had seen' : undefined), WATCH_MS);
      }),
  },
  {
    id: 'AGT-F-002',
    title: 'takes frames in any order within the window',
    requirements: ['F-5'],
    level: 'robust',
    run: (stage) =>
      whileRenewing(stage, async (line, renewals) => {
        const late = line.sealMessage(RENEW_NOW);
        stage.desk.put(line, line.sealMessage(NOTHING));
        stage.desk.put(line, line.sealMessage(NOTHING));
        stage.desk.put(line, late);
        await stage.until('a renewal', () => (renewals() === 1 ? true : undefined));
      }),
  },
  ...[
    { id: 'AGT-F-003', behind: 63, takes: true, title: 'takes a frame 63 behind the newest' },
    { id: 'AGT-F-004', behind: 64, takes: false, title: 'drops a frame 64 behind the newest' },
    { id: 'AGT-F-005', behind: 65, takes: false, title: 'drops a frame 65 behind the newest' },
  ].map(
    ({ id, behind, takes, title }): AgentCase => ({
      id,
      title,
      requirements: ['F-5'],
      level: takes ? 'robust' : 'full',
      run: (stage) =>
        whileRenewing(stage, async (line, renewals) => {
          const old = line.sealMessage(RENEW_NOW);
          line.next += behind - 1;
          stage.desk.put(line, line.sealMessage(NOTHING));
          stage.desk.put(line, old);
          if (takes) await stage.until('a renewal', () => (renewals() === 1 ? true : undefined));
          else await stage.never(() => (renewals() > 0 ? 'it acted on a frame so old' : undefined), WATCH_MS);
        }),
    }),
  ),
  {
    id: 'AGT-F-006',
    title: 'moves its window for no frame that is forged',
    requirements: ['F-5', 'S-21'],
    level: 'full',
    async run(stage) {
      const { line } = stage;
      await stage.parked();
      const frame = line.sealMessage(NOTHING);
      for (const ahead of [64, 1000, 2 ** 40])
        stage.desk.put(
          line,
          counted(flipped(frame, -1), (n) => n + ahead),
        );
      await stage.proves();
    },
  },
  {
    id: 'AGT-F-007',
    title: 'counts a frame with an unknown plaintext as seen',
    requirements: ['F-3'],
    level: 'robust',
    run: (stage) =>
      whileRenewing(stage, async (line, renewals) => {
        const counter = line.next++;
        stage.desk.put(line, line.seal(plaintextOf(2, NOTHING), counter));
        stage.desk.put(line, line.sealMessage(RENEW_NOW, counter));
        await stage.never(() => (renewals() > 0 ? 'it took a counter twice' : undefined), WATCH_MS);
      }),
  },
  {
    id: 'AGT-F-008',
    title: 'answers no confirmation',
    requirements: ['F-6'],
    level: 'full',
    async run(stage) {
      const { line } = stage;
      await stage.parked();
      const frames = line.seen.size;
      for (let n = 0; n < 3; n += 1) stage.desk.confirm(line);
      await stage.never(() => (line.seen.size > frames ? 'it answered a confirmation' : undefined), 1000);
      await stage.proves();
    },
  },
  {
    id: 'AGT-F-009',
    title: 'numbers its own frames from 0, each once',
    requirements: ['F-2', 'F-1', 'B-2'],
    level: 'core',
    start: 'cold',
    async run(stage) {
      await stage.start();
      const line = await stage.session();
      for (let n = 0; n < 5; n += 1) await stage.proves();
      const counters = stage.desk.frames
        .filter((entry) => entry.line === line)
        .map(({ header }) => header.counter);
      expect(
        counters.every((counter, at) => counter === at),
        `the counters of its frames are ${counters.join(', ')}`,
      );
    },
  },
];

const RENEW_NOW = bytesOf('{"kind":"notice","command":"renew-now"}');
/** An answer to nothing. */
const NOTHING = bytesOf(
  '{"kind":"none","slot":63,"counter":1,"none":{"reason":"no-work","retryAfterSeconds":0},"verdicts":[]}',
);

/** While a job runs, an agent renews once for each `notice` that it takes; the job is cancelled in the end. */
async function whileRenewing(
  stage: Stage,
  act: (line: Line, renewals: () => number) => Promise<void>,
): Promise<void> {
  const lease = await holds(stage, script('sleep 60'));
  const fromMs = performance.now();
  try {
    await act(stage.line, () => stage.clerk.since('renew', fromMs).length);
  } finally {
    const deal = stage.clerk.deal(lease);
    deal.order = 'cancel';
    stage.desk.put(stage.line, stage.line.sealMessage(RENEW_NOW));
  }
}

function noneFor(stage: Stage): Uint8Array {
  const { slot = 1, counter = 1 } = stage.clerk.parked ?? {};
  const none = { reason: 'no-work', retryAfterSeconds: 0 };
  return bytesOf(JSON.stringify({ kind: 'none', slot, counter, none, verdicts: [] }));
}

async function nothingHappens(stage: Stage): Promise<void> {
  const before = stage.clerk.heard.length;
  const handshakes = stage.desk.message1s.length;
  await stage.never(
    () =>
      stage.clerk.heard.length > before
        ? 'it acted on it'
        : stage.desk.message1s.length > handshakes
          ? 'it began a new handshake for it'
          : stage.program?.ended !== undefined
            ? 'it ended for it'
            : undefined,
    WATCH_MS,
  );
}

function counterOf(frame: Uint8Array): number {
  return Number(new DataView(frame.buffer, frame.byteOffset).getBigUint64(12));
}

function counted(frame: Uint8Array, change: (counter: number) => number): Uint8Array {
  const copy = new Uint8Array(frame);
  new DataView(copy.buffer).setBigUint64(12, BigInt(change(counterOf(frame))));
  return copy;
}

/** The same plaintext, truly sealed under a counter no session has. */
function sealedAt(line: Line, counter: bigint, frame: Uint8Array): Uint8Array {
  const { crypto, keys } = line.options;
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setBigUint64(4, counter);
  const none = new Uint8Array();
  const text =
    crypto.open(keys.send, nonceOf(counterOf(frame)), none, frame.subarray(FRAME_HEADER_BYTES)) ?? none;
  const copy = new Uint8Array(frame);
  copy.set(crypto.seal(keys.send, nonce, none, text), FRAME_HEADER_BYTES);
  new DataView(copy.buffer).setBigUint64(12, counter);
  return copy;
}

function withoutByte(frame: Uint8Array, at: number): Uint8Array {
  return new Uint8Array([...frame.subarray(0, at), ...frame.subarray(at + 1)]);
}
