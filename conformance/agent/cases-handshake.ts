import { base64url, bytesOf, hex } from '../../protocol/encoding.ts';
import type { Certificate } from '../../protocol/generated/types.ts';
import { signJws } from '../../protocol/jws.ts';
import { encodeMessage } from '../../protocol/session/header.ts';
import { expect } from '../expectation.ts';
import type { AgentCase } from './agent-case.ts';
import type { Arrival, HelloChange, Offer } from './broker-desk.ts';
import type { Stage } from './stage.ts';
import { flipped, lengthened, replaced, shortened } from './tamper.ts';

const NOW = (stage: Stage): number => Math.floor(stage.runtime.clock.wallMs() / 1000);

/** Message 2s that are sealed rightly and must not be believed, each by the requirement it breaks. */
const UNBELIEVABLE: readonly {
  readonly what: string;
  readonly requirements: readonly string[];
  readonly change: (stage: Stage) => HelloChange;
}[] = [
  {
    what: 'a certificate signed by another key',
    requirements: ['S-6'],
    change: ({ runtime }) => ({ certifier: runtime.crypto.generate('ed25519') }),
  },
  {
    what: 'a certificate of another installation',
    requirements: ['S-6'],
    change: () => ({ certificate: (claims) => ({ ...claims, iss: 'elsewhere' }) }),
  },
  {
    what: 'a certificate for another key than that of the handshake',
    requirements: ['S-6'],
    change: ({ runtime }) => {
      const kex = base64url(runtime.crypto.generate('x25519').publicKey.raw);
      return { certificate: (claims) => ({ ...claims, kex }) };
    },
  },
  {
    what: 'a certificate that ended two minutes ago',
    requirements: ['S-6', 'E-14'],
    change: (stage) => ({
      certificate: (claims) => ({ ...claims, iat: NOW(stage) - 600, exp: NOW(stage) - 120 }),
    }),
  },
  {
    what: 'a certificate that begins in two minutes',
    requirements: ['E-14'],
    change: (stage) => ({ certificate: (claims) => ({ ...claims, iat: NOW(stage) + 120 }) }),
  },
  {
    what: 'a certificate with a claim the schema does not name',
    requirements: ['S-6', 'X-1'],
    change: () => ({ certificate: (claims) => ({ ...claims, admin: true }) }),
  },
  {
    what: 'an identity in place of the certificate',
    requirements: ['E-13'],
    change: (stage) => ({ token: () => stage.line.hello.identity }),
  },
  {
    what: 'a certificate whose header has another type',
    requirements: ['E-13'],
    change: (stage) => ({ token: (claims) => signJws(stage.runtime.crypto, stage.certifier, 'JWT', claims) }),
  },
  {
    what: 'a certificate whose header has its fields the other way round',
    requirements: ['E-13'],
    change: (stage) => ({
      token: (claims) => withHeader(stage, claims, '{"typ":"copilot-certificate","alg":"EdDSA"}'),
    }),
  },
  {
    what: 'a certificate whose header has a field more',
    requirements: ['E-13'],
    change: (stage) => ({
      token: (claims) => withHeader(stage, claims, '{"alg":"EdDSA","typ":"copilot-certificate","kid":"1"}'),
    }),
  },
  {
    what: 'a certificate with the algorithm none and no signature',
    requirements: ['E-13'],
    change: () => ({
      token: (claims) =>
        `${part('{"alg":"none","typ":"copilot-certificate"}')}.${part(JSON.stringify(claims))}.`,
    }),
  },
  {
    what: 'only versions the agent cannot know',
    requirements: ['S-6', 'S-27'],
    change: () => ({ hello: (hello) => ({ ...hello, versions: [999] }) }),
  },
  {
    what: 'a field the schema does not name',
    requirements: ['M-1', 'X-1'],
    change: () => ({ hello: (hello) => ({ ...hello, motd: 'hello' }) }),
  },
  {
    what: 'no session id',
    requirements: ['M-1'],
    change: () => ({ hello: ({ session: _, ...hello }) => hello }),
  },
  {
    what: 'a payload that is not JSON',
    requirements: ['M-1'],
    change: () => ({ payload: bytesOf('{"kind":') }),
  },
  { what: 'no payload at all', requirements: ['S-6'], change: () => ({ payload: new Uint8Array() }) },
  {
    what: 'the prologue of another installation',
    requirements: ['S-2'],
    change: () => ({ installation: 'elsewhere' }),
  },
  { what: 'the prologue of an adapter', requirements: ['S-2'], change: () => ({ role: 'adapter jobs' }) },
];

/** What the bus can do to a message 2. Its body: ephemeral key (32), static key (32 and 16), payload and 16. */
const TAMPERED: readonly {
  readonly what: string;
  readonly requirements: readonly string[];
  readonly change: (message2: Uint8Array) => Uint8Array;
}[] = [
  {
    what: 'with a bit of its ephemeral key flipped',
    requirements: ['S-13', 'S-21'],
    change: (m) => flipped(m, 12),
  },
  {
    what: 'with a bit of its static key flipped',
    requirements: ['S-13', 'S-21'],
    change: (m) => flipped(m, 44),
  },
  {
    what: "with a bit of its static key's tag flipped",
    requirements: ['S-13', 'F-9'],
    change: (m) => flipped(m, 91),
  },
  {
    what: 'with a bit of its payload flipped',
    requirements: ['S-13', 'S-21'],
    change: (m) => flipped(m, 100),
  },
  {
    what: "with a bit of its payload's tag flipped",
    requirements: ['S-13', 'F-9'],
    change: (m) => flipped(m, -1),
  },
  { what: 'cut by one byte', requirements: ['S-13', 'S-21'], change: (m) => shortened(m, 1) },
  { what: 'cut to less than a message 2 has', requirements: ['H-1'], change: (m) => m.slice(0, 59) },
  { what: 'with one byte more', requirements: ['S-13', 'S-21'], change: (m) => lengthened(m, 1) },
  {
    what: 'with an ephemeral key of small order',
    requirements: ['S-21'],
    change: (m) => replaced(m, 12, new Uint8Array(32)),
  },
  { what: 'of type 3', requirements: ['H-1'], change: (m) => replaced(m, 0, [3]) },
  { what: 'of type 6', requirements: ['H-1'], change: (m) => replaced(m, 0, [6]) },
  { what: 'of suite 2', requirements: ['H-1'], change: (m) => replaced(m, 1, [2]) },
  { what: 'with a key id', requirements: ['H-1', 'H-2'], change: (m) => flipped(m, 3) },
  { what: 'for another message 1', requirements: ['H-3'], change: (m) => flipped(m, 4) },
];

/** S: handshakes. */
export const handshakeCases: readonly AgentCase[] = [
  {
    id: 'AGT-S-001',
    title: 'shakes hands as XX says, and says who it is',
    requirements: ['S-1', 'S-2', 'S-4', 'S-8', 'H-1', 'H-2', 'H-3', 'S-18'],
    level: 'core',
    start: 'cold',
    async run(stage) {
      await stage.start();
      const line = await stage.session();
      expect(line.hello.version === 1, `it chose version ${line.hello.version}`);
      expect(stage.desk.isRight(line), 'its session is none that was offered');
    },
  },
  {
    id: 'AGT-S-002',
    title: 'repeats message 1, byte by byte the same, after one second and then after two',
    requirements: ['S-12'],
    level: 'full',
    start: 'cold',
    async run(stage) {
      stage.desk.manners.answer = (offer, nth) => (nth < 2 ? [] : [offer.right()]);
      await stage.start();
      await stage.session();
      areRepeats(stage.desk.message1s, 'message 1', stage);
    },
  },
  {
    id: 'AGT-S-003',
    title: 'repeats message 3, byte by byte the same, until a frame confirms it',
    requirements: ['S-11'],
    level: 'full',
    start: 'cold',
    async run(stage) {
      stage.desk.manners.confirms = false;
      await stage.start();
      const { message3s } = stage.desk;
      await stage.until('three message 3s', () => message3s[2], 25_000);
      areRepeats(message3s, 'message 3', stage);
    },
  },
  {
    id: 'AGT-S-004',
    title: 'takes a confirmation for what it is: repeats message 3 no more, and answers nothing to it',
    requirements: ['S-11', 'F-3', 'F-6', 'F-7', 'S-26'],
    level: 'full',
    start: 'cold',
    async run(stage) {
      stage.greets = false;
      await stage.start();
      const line = await stage.session();
      stage.desk.confirm(line);
      const repeats = stage.desk.message3s.length;
      await stage.never(
        () =>
          stage.desk.message3s.length > repeats
            ? 'it repeats message 3 after a confirmation'
            : line.seen.size > 0
              ? 'it sent a frame before any welcome'
              : undefined,
        4000,
      );
    },
  },
  {
    id: 'AGT-S-005',
    title: 'begins a new handshake where message 3 is not confirmed within 30 s',
    requirements: ['S-11'],
    level: 'robust',
    start: 'cold',
    withinSeconds: 75,
    async run(stage) {
      stage.desk.manners.confirms = false;
      await stage.start();
      await stage.session();
      const [first] = stage.desk.message1s;
      await stage.until(
        'another message 1',
        () => stage.desk.message1s.find(({ frame }) => hex(frame) !== hex(first?.frame ?? new Uint8Array())),
        50_000,
      );
    },
  },
  {
    id: 'AGT-S-006',
    title: 'begins a new handshake where no welcome comes within 15 s',
    requirements: ['S-26'],
    level: 'robust',
    start: 'cold',
    withinSeconds: 60,
    async run(stage) {
      stage.greets = false;
      await stage.start();
      stage.desk.confirm(await stage.session());
      const before = stage.desk.message1s.length;
      await stage.until('another message 1', () => stage.desk.message1s[before], 30_000);
    },
  },
  {
    id: 'AGT-S-007',
    title: 'waits for the welcome before it says anything',
    requirements: ['S-26'],
    level: 'robust',
    start: 'cold',
    async run(stage) {
      stage.greets = false;
      await stage.start();
      const line = await stage.session();
      stage.desk.confirm(line);
      await stage.never(
        () => (stage.clerk.heard.length > 0 ? 'it spoke before the welcome' : undefined),
        3000,
      );
    },
  },
  {
    id: 'AGT-S-008',
    title: 'chooses the version it knows among several',
    requirements: ['S-27'],
    level: 'full',
    start: 'cold',
    async run(stage) {
      stage.desk.versions = [1, 2];
      await stage.start();
      await stage.session();
      await stage.parked();
    },
  },
  {
    id: 'AGT-S-009',
    title: 'takes a certificate that ended half a minute ago, for clocks differ',
    requirements: ['E-14'],
    level: 'robust',
    start: 'cold',
    async run(stage) {
      const certificate = (claims: Certificate): object => ({
        ...claims,
        exp: NOW(stage) - 30,
        iat: NOW(stage) - 600,
      });
      stage.desk.manners.answer = (offer) => [offer.wrong({ certificate })];
      await stage.start();
      await stage.session();
    },
  },
  {
    id: 'AGT-S-010',
    title: 'takes the first message 2 that is right, and no other after it',
    requirements: ['S-13'],
    level: 'full',
    start: 'cold',
    async run(stage) {
      stage.desk.manners.answer = (offer) => [offer.right(), offer.wrong({}), offer.right()];
      await stage.start();
      const line = await stage.session();
      await stage.parked();
      expect(stage.desk.isRight(line) && stage.desk.lines.length === 1, 'it took another than the first');
    },
  },
  {
    id: 'AGT-S-011',
    title: 'makes a new session on a new connection, and never uses the old one again',
    requirements: ['S-20', 'B-12', 'W-1', 'M-12'],
    level: 'full',
    start: 'spent',
    async run(stage) {
      const old = stage.line;
      const at = stage.desk.frames.length;
      stage.gate.cut();
      const line = await stage.until(
        'a new session',
        () => (stage.line === old ? undefined : stage.line),
        10_000,
      );
      expect(line.hello.session !== old.hello.session, 'it announced the session id it had before');
      expect(line.hello.start === old.hello.start, 'it named another start, though it was not started again');
      await stage.proves();
      expect(
        stage.desk.frames.slice(at).every((entry) => entry.line !== old),
        'it sent frames of the old session',
      );
    },
  },
  {
    id: 'AGT-S-012',
    title: 'believes a hint about its session so far: one new handshake, and one more not within ten seconds',
    requirements: ['S-23'],
    level: 'full',
    start: 'spent',
    async run(stage) {
      const { desk } = stage;
      const before = desk.message1s.length;
      const old = stage.line;
      desk.hint(old, old.options.id);
      await stage.until('a new handshake', () => desk.message1s[before]);
      const line = await stage.until('a new session', () => (stage.line === old ? undefined : stage.line));
      await stage.proves();
      const now = desk.message1s.length;
      for (let n = 0; n < 5; n += 1) desk.hint(line, line.options.id);
      await stage.never(
        () => (desk.message1s.length > now ? 'it began another handshake for a second hint' : undefined),
        3000,
      );
    },
  },
  {
    id: 'AGT-S-013',
    title: 'goes on with its session while a hint makes it look for another',
    requirements: ['S-23', 'S-21'],
    level: 'robust',
    start: 'spent',
    async run(stage) {
      const { desk } = stage;
      stage.desk.manners.answer = () => [];
      const before = desk.message1s.length;
      desk.hint(stage.line, stage.line.options.id);
      await stage.until('a new handshake', () => desk.message1s[before]);
      await stage.proves();
    },
  },
  {
    id: 'AGT-S-014',
    title: 'does nothing for a hint about a session it does not have',
    requirements: ['S-23'],
    level: 'full',
    async run(stage) {
      const before = stage.desk.message1s.length;
      stage.desk.hint(stage.line, stage.runtime.random.bytes(8));
      stage.desk.hint(stage.line, stage.line.options.peerId);
      await stage.never(
        () => (stage.desk.message1s.length > before ? 'it began a new handshake' : undefined),
        1500,
      );
      await stage.proves();
    },
  },
  {
    id: 'AGT-S-015',
    title: 'uses no more slots than the broker offers',
    requirements: ['S-28', 'M-5'],
    level: 'full',
    start: 'cold',
    async run(stage) {
      stage.desk.maxSlots = 1;
      await stage.start();
      await stage.session();
      await stage.parked();
      await stage.never(
        () => (stage.clerk.parkedSlots.length > 1 ? 'it used a second slot' : undefined),
        1000,
      );
    },
  },
  {
    id: 'AGT-S-016',
    title: 'ignores its own handshake messages when they come back',
    requirements: ['S-21'],
    level: 'robust',
    start: 'cold',
    async run(stage) {
      stage.desk.manners.answer = (offer) => [
        encodeMessage('answer', offer.message1.subarray(0, 8), offer.message1),
        stage.desk.message1s.at(-1)?.frame ?? new Uint8Array(),
        offer.right(),
      ];
      await stage.start();
      const line = await stage.session();
      stage.desk.put(line, stage.desk.message3s.at(-1)?.frame ?? new Uint8Array());
      await stage.proves();
    },
  },
  ...UNBELIEVABLE.map(
    ({ what, requirements, change }, index): AgentCase => ({
      id: `AGT-S-${101 + index}`,
      title: `drops a message 2 with ${what}, and takes the right one`,
      requirements: [...new Set([...requirements, 'S-13'])],
      level: 'full',
      start: what.startsWith('an identity') ? 'spent' : 'cold',
      run: (stage) => takesTheRightOne(stage, (offer) => [offer.wrong(change(stage))]),
    }),
  ),
  ...TAMPERED.map(
    ({ what, requirements, change }, index): AgentCase => ({
      id: `AGT-S-${201 + index}`,
      title: `drops a message 2 ${what}, and takes the right one`,
      requirements,
      level: 'full',
      start: 'cold',
      run: (stage) => takesTheRightOne(stage, (offer) => [change(offer.right())]),
    }),
  ),
];

/** The wrong ones go first; whichever the agent answers, its session shows. */
async function takesTheRightOne(stage: Stage, wrong: (offer: Offer) => readonly Uint8Array[]): Promise<void> {
  const before = stage.desk.lines.length;
  const proofs = stage.desk.message3s.length;
  stage.desk.manners.answer = (offer) => [...wrong(offer), offer.right()];
  if (stage.program === undefined) await stage.start();
  else stage.gate.cut();
  const line = await stage.until('a session', () => stage.desk.lines[before], 20_000);
  expect(stage.desk.isRight(line), 'it believed the wrong message 2');
  await stage.proves();
  expect(
    stage.desk.message3s.length === proofs + 1 && stage.desk.lines.length === before + 1,
    'it answered more than one message 2',
  );
}

/** The first three are the same, 1 s and 2 s apart, up to a quarter less, and late as machines are. */
function areRepeats(arrivals: readonly Arrival[], what: string, stage: Stage): void {
  const [first, second, third] = arrivals;
  expect(
    first !== undefined && second !== undefined && third !== undefined,
    `${what} was not repeated twice`,
  );
  expect(
    hex(first.frame) === hex(second.frame) && hex(second.frame) === hex(third.frame),
    `a repeat of ${what} is not the same byte by byte`,
  );
  for (const [gapMs, dueMs] of [
    [second.atMs - first.atMs, 1000],
    [third.atMs - second.atMs, 2000],
  ] as const)
    expect(
      gapMs >= dueMs * EARLY && gapMs <= dueMs + stage.ms(LATE_MS),
      `${what} was repeated after ${Math.round(gapMs)} ms, where ${dueMs} ms were due`,
    );
}

/** A quarter less is allowed, and the network takes its part. */
const EARLY = 0.7;
const LATE_MS = 1500;

function withHeader(stage: Stage, claims: Certificate, header: string): string {
  const signed = `${part(header)}.${part(JSON.stringify(claims))}`;
  return `${signed}.${base64url(stage.runtime.crypto.sign(stage.certifier, bytesOf(signed)))}`;
}

function part(text: string): string {
  return base64url(bytesOf(text));
}
