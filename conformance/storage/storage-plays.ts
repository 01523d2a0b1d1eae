import { bytesOf } from '../../protocol/encoding.ts';
import type { Capability } from '../../protocol/generated/types.ts';
import { STORAGE_STATUS, type StorageCode } from '../../protocol/storage-codes.ts';
import type { Level } from '../case.ts';
import { expect, pause } from '../expectation.ts';
import { flipped } from '../peer/bytes.ts';
import { codeOf, type HttpAnswer } from '../peer/http.ts';
import { type KeyHolder, patchOf, putOf, type StorageAsk } from '../peer/key-holder.ts';

/** One attempt's files at a Data Bridge, however the right to them was come by. */
export interface StoragePlace {
  /** Who was granted it. */
  readonly holder: KeyHolder;
  /** Somebody with another key. */
  readonly stranger: KeyHolder;
  /** For an input of `INPUT`. */
  readonly input: Capability;
  /** For an output of at most `MAX_BYTES`, and for another one. */
  readonly output: Capability;
  readonly other: Capability;
  readonly signal: AbortSignal;
}

export const INPUT_NAME = 'card.txt';
export const INPUT = 'a card of some length, so that ranges of it can be asked for\n';
export const OUTPUT_NAME = 'events.dat';
export const OTHER_NAME = 'plots/mass.txt';
export const MAX_BYTES = 4096;

/** A case of C, for whoever lends a place. */
export interface StoragePlay {
  readonly id: string;
  readonly title: string;
  readonly requirements: string;
  readonly level: Level;
  readonly play: (place: StoragePlace) => Promise<void>;
}

type Play = StoragePlay['play'];

const WHOLE = bytesOf('the events of this attempt, in pieces if need be\n');

/** Requests with something wrong about token or proof, and the refusal. */
const WRONG_RIGHTS: readonly (readonly [
  what: string,
  code: StorageCode,
  requirements: string,
  change: Partial<StorageAsk>,
])[] = [
  ['no token', 'NOT_AUTHORIZED', 'C-3 C-7', { authorization: () => undefined }],
  [
    'its token as Bearer',
    'NOT_AUTHORIZED',
    'C-3',
    { authorization: (right) => right.replace('DPoP', 'Bearer') },
  ],
  ['a token nobody made', 'CAPABILITY_INVALID', 'C-7', { token: 'A'.repeat(200) }],
  ['no proof', 'DPOP_NONCE_REQUIRED', 'C-3 C-5', { spoil: () => undefined }],
  ['a proof without nonce', 'DPOP_NONCE_REQUIRED', 'C-5', { nonce: '' }],
  ['a nonce nobody made', 'DPOP_NONCE_REQUIRED', 'C-5', { nonce: 'AAAAAAAAAAk4cP2x' }],
  ['a proof for another method', 'DPOP_INVALID', 'C-4', { proved: { method: 'GET' } }],
  ['a proof for another URL', 'DPOP_INVALID', 'C-4', { proved: { url: 'https://storage.example/v1/other' } }],
  ['a proof for another token', 'DPOP_INVALID', 'C-4', { proved: { token: 'another' } }],
  ['a proof with a changed signature', 'DPOP_INVALID', 'C-4', { spoil: changedSignature }],
  ['a proof without signature', 'DPOP_INVALID', 'C-4', { spoil: unsigned }],
  ['a proof of 2,049 characters', 'DPOP_INVALID', 'C-4', { spoil: (proof) => proof.padEnd(2049, 'A') }],
  ['a proof that is no JWS', 'DPOP_INVALID', 'C-4', { spoil: () => 'proof' }],
];

/** Last parts of URLs that are no file name, as they are sent. */
const WRONG_NAMES = [
  '..%2fevents.dat',
  '%2e%2e/events.dat',
  '.hidden',
  'a//b',
  'a%00b',
  'a%5cb',
  'a%0ab',
  '%zz',
  'a/',
  '%252e%252e%252fa',
];

export const STORAGE_PLAYS: readonly StoragePlay[] = [
  core('01', 'takes a whole file, and the same once more', 'C-2 C-10', async ({ holder, output }) => {
    await expectStatus(holder.put(output, WHOLE), 201);
    await expectStatus(holder.put(output, WHOLE), 200);
  }),
  core('02', 'serves an input', 'C-9', async ({ holder, input }) => {
    const answer = await expectStatus(holder.get(input), 200);
    expect(textOf(answer) === INPUT, 'the input has other bytes');
  }),
  full('03', 'serves a range of an input', 'C-9', async ({ holder, input }) => {
    const answer = await expectStatus(holder.get(input, { range: 'bytes=2-5' }), 206);
    expect(textOf(answer) === INPUT.slice(2, 6), `the range holds ${JSON.stringify(textOf(answer))}`);
  }),
  full('04', 'serves the rest of an input from somewhere on', 'C-9', async ({ holder, input }) => {
    const answer = await expectStatus(holder.get(input, { range: 'bytes=10-' }), 206);
    expect(textOf(answer) === INPUT.slice(10), 'the rest has other bytes');
  }),
  full(
    '05',
    'serves the whole input where several ranges or other words are asked for',
    'C-9',
    async ({ holder, input }) => {
      for (const range of ['bytes=0-1,4-5', 'lines=1-2']) {
        const answer = await expectStatus(holder.get(input, { range }), 200);
        expect(textOf(answer) === INPUT, `with "${range}" the input has other bytes`);
      }
    },
  ),
  full('06', 'refuses a range beyond the end', 'C-8 C-9', ({ holder, input }) =>
    expectRefusal(holder.get(input, { range: `bytes=${INPUT.length + 10}-` }), 'RANGE_NOT_SATISFIABLE'),
  ),
  full('07', 'says of a file that was not begun that it is not there', 'C-11', async ({ holder, output }) => {
    await expectStatus(holder.head(output), 404);
  }),
  full('08', 'takes a file in pieces and says how far it is', 'C-11 C-12', async ({ holder, output }) => {
    const half = 20;
    const first = await expectStatus(holder.patch(output, { whole: WHOLE, from: 0, to: half }), 204);
    expect(
      first.headers['upload-offset'] === String(half),
      `the offset is ${String(first.headers['upload-offset'])}`,
    );
    const state = await expectStatus(holder.head(output), 200);
    expect(state.headers['upload-offset'] === String(half), 'HEAD says another offset');
    expect(state.headers['upload-length'] === String(WHOLE.length), 'HEAD says another length');
    await expectStatus(holder.patch(output, { whole: WHOLE, from: half, to: WHOLE.length }), 204);
    await expectStatus(holder.put(output, WHOLE), 200);
  }),
  full('09', 'refuses a piece at another offset', 'C-12', async ({ holder, output }) => {
    await expectStatus(holder.patch(output, { whole: WHOLE, from: 0, to: 10 }), 204);
    await expectRefusal(holder.patch(output, { whole: WHOLE, from: 20, to: 30 }), 'OFFSET_MISMATCH');
    await expectRefusal(holder.patch(output, { whole: WHOLE, from: 0, to: 10 }), 'OFFSET_MISMATCH');
  }),
  full('10', 'refuses a piece whose bytes are not its digest', 'C-12', async ({ holder, output }) => {
    const piece = { whole: WHOLE, from: 0, to: 10 };
    const headers = { ...patchOf(output, piece).headers, 'content-digest': digestOfNothing() };
    await expectRefusal(holder.patch(output, piece, { headers }), 'DIGEST_MISMATCH');
  }),
  full(
    '11',
    'removes a whole file whose bytes are not its digest',
    'C-10 C-13',
    async ({ holder, output }) => {
      const headers = { ...putOf(output, WHOLE).headers, 'repr-digest': digestOfNothing() };
      await expectRefusal(holder.put(output, WHOLE, { headers }), 'DIGEST_MISMATCH');
      await expectStatus(holder.put(output, WHOLE), 201);
    },
  ),
  full('12', 'keeps what came before a connection broke', 'C-13', async ({ holder, output, signal }) => {
    const half = 24;
    await holder.head(output);
    const piece = patchOf(output, { whole: WHOLE, from: 0, to: WHOLE.length });
    for (let offset = 0, tries = 0; offset < half; tries++) {
      expect(tries < 20, `${offset} of ${half} bytes are kept`);
      // The cut may outrun the bytes.
      if (offset === 0)
        await holder.ask({ ...piece, body: WHOLE.subarray(0, half), breaksOffMs: 200 }).catch(ignore);
      const { headers, status } = await holder.head(output);
      offset = status === 200 ? Number(headers['upload-offset']) : 0;
      await pause(50, signal);
    }
    await expectStatus(holder.patch(output, { whole: WHOLE, from: half, to: WHOLE.length }), 204);
  }),
  ...WRONG_RIGHTS.map(([what, code, requirements, change], index) =>
    full(
      `2${String(index + 1).padStart(2, '0')}`,
      `refuses ${what} with ${code}`,
      requirements,
      async ({ holder, output }) => {
        await holder.head(output);
        await expectRefusal(holder.once({ ...putOf(output, WHOLE), ...change }), code);
        await expectStatus(holder.put(output, WHOLE), 201);
      },
    ),
  ),
  full('30', 'takes a proof once', 'C-6', async ({ holder, output }) => {
    await holder.head(output);
    let proof = '';
    const keep = (made: string): string => (proof = made);
    await expectStatus(holder.once({ ...putOf(output, WHOLE), spoil: keep }), 201);
    await expectRefusal(holder.once({ ...putOf(output, WHOLE), spoil: () => proof }), 'DPOP_REPLAYED');
  }),
  full('31', 'takes no capability from another key', 'C-1 C-7', async ({ stranger, input, output }) => {
    await expectRefusal(stranger.put(output, WHOLE), 'CAPABILITY_WRONG_KEY');
    await expectRefusal(stranger.get(input), 'CAPABILITY_WRONG_KEY');
  }),
  full('32', 'brings a nonce with every answer to a proof', 'C-5', async ({ holder, output }) => {
    for (const answer of [
      await holder.head(output),
      await holder.put(output, WHOLE),
      await holder.once({ ...putOf(output, WHOLE), nonce: '' }),
    ])
      expect(
        typeof answer.headers['dpop-nonce'] === 'string',
        `an answer ${answer.status} has no DPoP-Nonce`,
      );
  }),
  full('33', 'lets a capability to put read nothing', 'C-2 C-7', async ({ holder, output }) => {
    await holder.put(output, WHOLE);
    await expectRefusal(holder.get(output), 'CAPABILITY_WRONG_VERB');
  }),
  full('34', 'lets a capability to get write nothing', 'C-2 C-7', async ({ holder, input, output }) => {
    await expectRefusal(holder.put({ ...output, token: input.token }, WHOLE), 'CAPABILITY_WRONG_VERB');
  }),
  full('35', 'lets a capability touch no other file', 'C-2 C-7', async ({ holder, other, output }) => {
    await expectRefusal(holder.put({ ...output, token: other.token }, WHOLE), 'CAPABILITY_WRONG_FILE');
    await expectRefusal(holder.put({ ...other, token: output.token }, WHOLE), 'CAPABILITY_WRONG_FILE');
  }),
  full('36', 'lets a capability touch no other attempt', 'C-2 C-7', async ({ holder, output }) => {
    const next = output.url.replace(
      /\/(\d+)\/([^/]+)$/,
      (_, attempt: string, name: string) => `/${Number(attempt) + 1}/${name}`,
    );
    await expectRefusal(holder.put({ ...output, url: next }, WHOLE), 'CAPABILITY_WRONG_ATTEMPT');
  }),
  full('37', 'lets a capability touch no other job', 'C-2 C-7', async ({ holder, output }) => {
    const other = output.url.replace(/\/attempts\/[a-z2-7]{26}\//, `/attempts/${'a'.repeat(26)}/`);
    await expectRefusal(holder.put({ ...output, url: other }, WHOLE), 'CAPABILITY_WRONG_ATTEMPT');
  }),
  full(
    '38',
    'looks at the target before the token, and at the token before the proof',
    'C-7',
    async ({ holder, output }) => {
      const wrong = { token: 'A'.repeat(100), spoil: () => 'no proof' };
      const elsewhere = new URL('/v1/nothing', output.url).href;
      await expectRefusal(holder.once({ ...putOf(output, WHOLE), ...wrong, url: elsewhere }), 'NOT_FOUND');
      await expectRefusal(holder.once({ ...putOf(output, WHOLE), ...wrong }), 'CAPABILITY_INVALID');
    },
  ),
  ...WRONG_NAMES.map((name, index) =>
    full(`4${index + 1}`, `refuses the file name ${name}`, 'C-16', async ({ holder, output }) => {
      const url = output.url.replace(/[^/]+$/, name);
      await expectRefusal(holder.once({ ...putOf(output, WHOLE), url }), 'NAME_REFUSED');
    }),
  ),
  full('51', 'refuses a file over its bound before it lands', 'C-15 X-2', async ({ holder, output }) => {
    await expectRefusal(holder.put(output, new Uint8Array(MAX_BYTES + 1)), 'QUOTA_EXCEEDED');
    await expectStatus(holder.head(output), 404);
    await expectStatus(holder.put(output, new Uint8Array(MAX_BYTES)), 201);
  }),
  full('52', 'writes a file once', 'C-14', async ({ holder, output }) => {
    await holder.put(output, WHOLE);
    await expectRefusal(holder.put(output, bytesOf('other bytes\n')), 'FILE_EXISTS');
    await expectStatus(holder.put(output, WHOLE), 200);
  }),
  full('53', 'replaces a file that was begun with other promises', 'C-14', async ({ holder, output }) => {
    await expectStatus(holder.patch(output, { whole: bytesOf('another file\n'), from: 0, to: 4 }), 204);
    await expectStatus(holder.put(output, WHOLE), 201);
  }),
  full('58', 'lets one request write a file at a time', 'C-17', async ({ holder, output, signal }) => {
    await holder.head(output);
    const whole = putOf(output, WHOLE);
    const open = holder.ask({ ...whole, body: WHOLE.subarray(0, 10), breaksOffMs: 1200 }).catch(ignore);
    await pause(300, signal);
    await expectRefusal(holder.put(output, WHOLE), 'UPLOAD_BUSY');
    await open;
  }),
  full('54', 'takes no upload without its digest', 'C-10', async ({ holder, output }) => {
    const headers = { 'content-length': WHOLE.length };
    await expectRefusal(holder.put(output, WHOLE, { headers }), 'MALFORMED_REQUEST');
  }),
  full('55', 'takes no upload without its length', 'C-10', async ({ holder, output }) => {
    const headers = { ...putOf(output, WHOLE).headers, 'content-length': [], 'transfer-encoding': 'chunked' };
    await expectRefusal(holder.put(output, WHOLE, { headers }), 'LENGTH_REQUIRED');
  }),
  full('56', 'takes no piece of another content type', 'C-12', async ({ holder, output }) => {
    const piece = { whole: WHOLE, from: 0, to: 10 };
    const headers = { ...patchOf(output, piece).headers, 'content-type': 'application/json' };
    await expectRefusal(holder.patch(output, piece, { headers }), 'MALFORMED_REQUEST');
  }),
  full(
    '57',
    'has the code of a refusal in its body and in Error-Code, and in HEAD too',
    'C-8',
    async ({ stranger, output }) => {
      for (const answer of [await stranger.put(output, WHOLE), await stranger.head(output)])
        expect(
          answer.headers['error-code'] === 'CAPABILITY_WRONG_KEY',
          `Error-Code is ${String(answer.headers['error-code'])}`,
        );
    },
  ),
];

function core(id: string, title: string, requirements: string, play: Play): StoragePlay {
  return { id, title, requirements, level: 'core', play };
}

function full(id: string, title: string, requirements: string, play: Play): StoragePlay {
  return { id, title, requirements, level: 'full', play };
}

async function expectStatus(asked: Promise<HttpAnswer>, status: number): Promise<HttpAnswer> {
  const answer = await asked;
  expect(answer.status === status, `it was answered ${answer.status} ${codeOf(answer)}, not ${status}`);
  return answer;
}

/** Status and code together, as the table of C-8 has them. */
export async function expectRefusal(asked: Promise<HttpAnswer>, code: StorageCode): Promise<void> {
  const answer = await asked;
  const seen = `${answer.status} ${codeOf(answer)}`;
  const wanted = `${STORAGE_STATUS[code]} ${code}`;
  expect(seen === wanted, `it was answered ${seen}, not ${wanted}`);
}

function textOf({ body }: HttpAnswer): string {
  return Buffer.from(body).toString('utf8');
}

function digestOfNothing(): string {
  return 'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:';
}

function changedSignature(proof: string): string {
  const [head = '', body = '', signature = ''] = proof.split('.');
  const raw = flipped(new Uint8Array(Buffer.from(signature, 'base64url')), 7);
  return `${head}.${body}.${Buffer.from(raw).toString('base64url')}`;
}

function unsigned(proof: string): string {
  return `${proof.split('.').slice(0, 2).join('.')}.`;
}

function ignore(): void {
  // The connection is broken on purpose.
}
