import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { enrol, renewIdentity } from '../../../agent/enrol.ts';
import { codeWay } from '../../../agent/enrolment-way.ts';
import type { AgentKeys, EnrolOptions } from '../../../agent/enrol.ts';
import { checkConfidential } from '../../../agent/http-json.ts';
import { base64url, bytesOf } from '../../../protocol/encoding.ts';
import {
  decodeEnrolmentCode,
  encodeEnrolmentCode,
  isEnrolled,
  isEnrolmentChallenge,
  isEnrolmentRequest,
  isRenewalRequest,
  isRenewedIdentity,
  proofBytes,
  verifyProof,
} from '../../../protocol/enrolment.ts';
import type { EnrolmentCode } from '../../../protocol/enrolment.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';

const crypto = createCrypto(createSeededRandom(7));
const keys: AgentKeys = { signing: crypto.generate('ed25519'), session: crypto.generate('x25519') };
const certifier = crypto.generate('ed25519').publicKey.raw;
const CODE: EnrolmentCode = { url: 'http://127.0.0.1:9', certifier, secret: 's'.repeat(24) };
const CHALLENGE = { challenge: 'c'.repeat(32), installation: 'home' };
const ENROLLED = {
  identity: 'aaaa.bbbb.cccc',
  installation: 'home',
  certifier: base64url(certifier),
  bus: ['ws://127.0.0.1:1/bus'],
  expiresInSeconds: 3600,
};
const sig = base64url(keys.signing.publicKey.raw);
const kex = base64url(keys.session.publicKey.raw);

let asked: { readonly url: string; readonly body: object }[] = [];
let answers: { readonly status: number; readonly body: unknown }[] = [];
const options: EnrolOptions = {
  keys,
  crypto,
  nowMs: () => 1234,
  signal: new AbortController().signal,
  post: async (url, body) => {
    asked.push({ url, body });
    return answers.shift() ?? { status: 500, body: undefined };
  },
};

beforeEach(() => {
  asked = [];
  answers = [];
});

describe('a one-use code', () => {
  it('survives being written and read, whatever the address and the secret', () => {
    fc.assert(
      fc.property(
        fc.webUrl({ validSchemes: ['http', 'https'] }).filter((url) => url.length < 400),
        fc.stringMatching(/^[A-Za-z0-9_-]{16,128}$/),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        (url, secret, key) => {
          const decoded = decodeEnrolmentCode(encodeEnrolmentCode({ url, certifier: key, secret }));
          expect(decoded).toEqual({ url: url.replace(/\/+$/, ''), certifier: new Uint8Array(key), secret });
        },
      ),
    );
  });

  it.each([
    ['nothing', ''],
    ['another prefix', encodeEnrolmentCode(CODE).replace('cpc1', 'cpc2')],
    ['a cut end', encodeEnrolmentCode(CODE).slice(0, -9)],
    ['no JSON', `cpc1.${base64url(bytesOf('{'))}`],
    ['an array', `cpc1.${base64url(bytesOf('[]'))}`],
    ['characters that are no base64url', 'cpc1.a b'],
    ['a short secret', encodeEnrolmentCode({ ...CODE, secret: 'short' })],
    ['a short key', encodeEnrolmentCode({ ...CODE, certifier: new Uint8Array(31) })],
    ['another scheme', encodeEnrolmentCode({ ...CODE, url: 'file:///etc/passwd' })],
    ['no URL', encodeEnrolmentCode({ ...CODE, url: 'nowhere' })],
    ['too much of it', `cpc1.${'A'.repeat(2000)}`],
  ])('with %s is refused and never repeated in the message', (_what, text) => {
    try {
      decodeEnrolmentCode(text);
      expect.unreachable();
    } catch (caught) {
      expect(caught).toMatchObject({ code: 'INVALID_CODE' });
      if (text.length > 5) expect(String(caught)).not.toContain(text.slice(5));
    }
  });
});

describe('a proof of possession', () => {
  const fields = { ...CHALLENGE, sig, kex };
  const proof = base64url(crypto.sign(keys.signing, proofBytes('enrol', fields)));

  it('is the bytes the protocol says', () => {
    expect(Buffer.from(proofBytes('renew', fields)).toString()).toBe(
      `co-pilot-renew-1\nhome\n${CHALLENGE.challenge}\n${sig}\n${kex}\n`,
    );
  });

  it('holds for its own statement', () => {
    expect(verifyProof(crypto, keys.signing.publicKey, 'enrol', fields, proof)).toBe(true);
  });

  it.each<[string, Parameters<typeof verifyProof>]>([
    ['another purpose', [crypto, keys.signing.publicKey, 'renew', fields, proof]],
    [
      'another installation',
      [crypto, keys.signing.publicKey, 'enrol', { ...fields, installation: 'away' }, proof],
    ],
    [
      'another challenge',
      [crypto, keys.signing.publicKey, 'enrol', { ...fields, challenge: 'd'.repeat(32) }, proof],
    ],
    ['another session key', [crypto, keys.signing.publicKey, 'enrol', { ...fields, kex: sig }, proof]],
    ['another signing key', [crypto, crypto.generate('ed25519').publicKey, 'enrol', fields, proof]],
    [
      'a flipped bit',
      [
        crypto,
        keys.signing.publicKey,
        'enrol',
        fields,
        `${proof.startsWith('A') ? 'B' : 'A'}${proof.slice(1)}`,
      ],
    ],
    ['no base64url', [crypto, keys.signing.publicKey, 'enrol', fields, '!']],
  ])('does not hold for %s', (_what, parameters) => {
    expect(verifyProof(...parameters)).toBe(false);
  });
});

describe('enrolling', () => {
  it('asks for a challenge, proves the keys, and keeps what it is told', async () => {
    answers = [
      { status: 200, body: CHALLENGE },
      { status: 200, body: ENROLLED },
    ];
    const membership = await enrol(codeWay(CODE), options);
    expect(membership).toEqual({ ...ENROLLED, url: CODE.url, obtainedMs: 1234 });
    expect(asked.map(({ url }) => url)).toEqual([`${CODE.url}/v1/enrol/challenge`, `${CODE.url}/v1/enrol`]);
    const body = asked[1]?.body;
    expect(isEnrolmentRequest(body)).toBe(true);
    expect(body).toMatchObject({ method: 'code', code: CODE.secret, sig, kex });
    const proof = isEnrolmentRequest(body) ? body.proof : '';
    expect(verifyProof(crypto, keys.signing.publicKey, 'enrol', { ...CHALLENGE, sig, kex }, proof)).toBe(
      true,
    );
  });

  it('never sends a private key', async () => {
    answers = [
      { status: 200, body: CHALLENGE },
      { status: 200, body: ENROLLED },
    ];
    await enrol(codeWay(CODE), options);
    const sent = JSON.stringify(asked);
    for (const key of [keys.signing, keys.session]) {
      const bytes = crypto.exportPrivate(key);
      expect(sent).not.toContain(base64url(bytes));
      expect(sent).not.toContain(Buffer.from(bytes).toString('hex'));
    }
  });

  it.each<[string, number, unknown, string]>([
    ['a refusal', 403, { code: 'ENROLMENT_REFUSED', message: 'spent' }, 'ENROLMENT_REFUSED'],
    ['a revocation', 403, { code: 'REVOKED', message: 'gone' }, 'REVOKED'],
    ['too many requests', 429, { code: 'RATE_LIMITED', message: 'later' }, 'UNREACHABLE'],
    ['a fault of the broker', 500, { code: 'INTERNAL', message: 'oops' }, 'UNREACHABLE'],
    ['a page of a proxy', 502, 'Bad Gateway', 'UNREACHABLE'],
    ['success that is none', 200, { hello: 'world' }, 'UNREACHABLE'],
    ['an identity over its bound', 200, { ...ENROLLED, identity: `a.b.${'c'.repeat(900)}` }, 'UNREACHABLE'],
    ['no bus', 200, { ...ENROLLED, bus: [] }, 'UNREACHABLE'],
    ['another certifier than the code pins', 200, { ...ENROLLED, certifier: sig }, 'NOT_AUTHORIZED'],
  ])('ends with %s as it should', async (_what, status, body, code) => {
    answers = [
      { status: 200, body: CHALLENGE },
      { status, body },
    ];
    await expect(enrol(codeWay(CODE), options)).rejects.toMatchObject({ code });
  });

  it('does not sign a challenge that could be another statement', async () => {
    answers = [{ status: 200, body: { challenge: 'x\nco-pilot-renew-1\n', installation: 'home' } }];
    await expect(enrol(codeWay(CODE), options)).rejects.toMatchObject({ code: 'UNREACHABLE' });
    expect(asked).toHaveLength(1);
  });

  it('shows no control characters of what the broker answered', async () => {
    answers = [{ status: 403, body: { code: 'ENROLMENT_REFUSED', message: 'a\u001b[2Jb' } }];
    await expect(enrol(codeWay(CODE), options)).rejects.toMatchObject({ message: 'a [2Jb' });
  });
});

describe('renewing', () => {
  const membership = { ...ENROLLED, url: CODE.url, obtainedMs: 0 };

  it('proves the same keys again and keeps the rest', async () => {
    answers = [
      { status: 200, body: CHALLENGE },
      { status: 200, body: { identity: 'd.e.f', certifier: ENROLLED.certifier, expiresInSeconds: 60 } },
    ];
    expect(await renewIdentity(membership, options)).toEqual({
      ...membership,
      identity: 'd.e.f',
      expiresInSeconds: 60,
      obtainedMs: 1234,
    });
    const body = asked[1]?.body;
    expect(isRenewalRequest(body)).toBe(true);
    const proof = isRenewalRequest(body) ? body.proof : '';
    expect(verifyProof(crypto, keys.signing.publicKey, 'renew', { ...CHALLENGE, sig, kex }, proof)).toBe(
      true,
    );
  });

  it('goes to another broker where its own does not answer, and to none where it is refused', async () => {
    const [second, third] = ['https://two.example.org', 'https://three.example.org'];
    const known = { ...membership, elsewhere: [second, third] };
    const renewed = { identity: 'd.e.f', certifier: ENROLLED.certifier, expiresInSeconds: 60 };
    answers = [
      { status: 503, body: undefined },
      { status: 200, body: CHALLENGE },
      { status: 200, body: renewed },
    ];
    expect(await renewIdentity(known, options)).toMatchObject({
      url: second,
      elsewhere: [CODE.url, third],
      identity: 'd.e.f',
    });
    expect(asked.map(({ url }) => new URL(url).origin)).toEqual([CODE.url, second, second]);
    answers = [
      { status: 200, body: CHALLENGE },
      { status: 403, body: { code: 'REVOKED', message: 'no' } },
    ];
    await expect(renewIdentity(known, options)).rejects.toMatchObject({ code: 'REVOKED' });
    answers = [];
    await expect(renewIdentity(known, options)).rejects.toMatchObject({ code: 'UNREACHABLE' });
    expect(asked.slice(5).map(({ url }) => new URL(url).origin)).toEqual([CODE.url, second, third]);
  });

  it('believes no other broker that is of another installation, or has another certifier', async () => {
    const known = { ...membership, elsewhere: ['https://two.example.org'] };
    const silent = { status: 503, body: undefined };
    answers = [silent, { status: 200, body: { ...CHALLENGE, installation: 'other' } }];
    await expect(renewIdentity(known, options)).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' });
    const strange = base64url(crypto.generate('ed25519').publicKey.raw);
    const renewed = { identity: 'd.e.f', certifier: strange, expiresInSeconds: 60 };
    answers = [silent, { status: 200, body: CHALLENGE }, { status: 200, body: renewed }];
    await expect(renewIdentity(known, options)).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' });
  });

  it('takes the buses that are there now, and keeps those it knows where it is given none that can be', async () => {
    const renewed = { identity: 'd.e.f', certifier: ENROLLED.certifier, expiresInSeconds: 60 };
    const bus = ['amqps://one.example.org', 'wss://two.example.org/bus'];
    answers = [
      { status: 200, body: CHALLENGE },
      { status: 200, body: { ...renewed, bus } },
    ];
    expect((await renewIdentity(membership, options)).bus).toEqual(bus);
    for (const wrong of [
      [],
      Array<string>(9).fill('wss://b.example.org'),
      ['x'.repeat(513)],
      'wss://b',
      [7],
    ]) {
      answers = [
        { status: 200, body: CHALLENGE },
        { status: 200, body: { ...renewed, bus: wrong } },
      ];
      await expect(renewIdentity(membership, options)).rejects.toMatchObject({ code: 'UNREACHABLE' });
    }
  });

  it('does not follow to another installation or certifier', async () => {
    answers = [{ status: 200, body: { ...CHALLENGE, installation: 'away' } }];
    await expect(renewIdentity(membership, options)).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' });
    answers = [
      { status: 200, body: CHALLENGE },
      { status: 200, body: { identity: 'd.e.f', certifier: sig, expiresInSeconds: 60 } },
    ];
    await expect(renewIdentity(membership, options)).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' });
  });
});

describe('guards', () => {
  const request = {
    method: 'code',
    code: CODE.secret,
    challenge: CHALLENGE.challenge,
    sig,
    kex,
    proof: 'p'.repeat(86),
  };

  it.each<[string, boolean]>([
    ['a whole request', isEnrolmentRequest(request)],
    [
      'a whole renewal',
      isRenewalRequest({ identity: 'a.b.c', challenge: CHALLENGE.challenge, proof: request.proof }),
    ],
    ['a challenge', isEnrolmentChallenge(CHALLENGE)],
    ['an enrolment', isEnrolled(ENROLLED)],
    ['a renewed identity', isRenewedIdentity(ENROLLED)],
  ])('accept %s', (_what, accepted) => {
    expect(accepted).toBe(true);
  });

  it.each(Object.keys(request))('refuse a request without or with a broken %s', (field) => {
    for (const value of [undefined, null, 7, '', 'x y', {}, ['a'], 'z'.repeat(5000)])
      expect(isEnrolmentRequest({ ...request, [field]: value })).toBe(false);
  });

  it.each([null, undefined, 7, 'text', [], [ENROLLED]])('refuse %j', (value) => {
    for (const guard of [
      isEnrolmentRequest,
      isEnrolled,
      isEnrolmentChallenge,
      isRenewalRequest,
      isRenewedIdentity,
    ])
      expect(guard(value)).toBe(false);
  });
});

describe('the enrolment address', () => {
  it.each(['https://broker.example', 'http://127.0.0.1:80', 'http://localhost/x', 'http://[::1]:1'])(
    '%s is safe',
    (url) => {
      expect(() => checkConfidential(url)).not.toThrow();
    },
  );

  it.each([
    'http://broker.example',
    'http://127.0.0.1.example.com',
    'http://10.0.0.1',
    'ftp://localhost',
    'http://user:secret@localhost',
    'nonsense',
  ])('%s is refused', (url) => {
    expect(() => checkConfidential(url)).toThrow(expect.objectContaining({ code: 'NOT_AUTHORIZED' }));
  });
});
