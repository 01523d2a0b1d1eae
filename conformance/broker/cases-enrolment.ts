import { base64url, bytesOf, idOf } from '../../protocol/encoding.ts';
import {
  decodeEnrolmentCode,
  ENROLMENT_PATHS,
  isRenewedIdentity,
  MAX_ENROLMENT_BYTES,
  type ProofPurpose,
} from '../../protocol/enrolment.ts';
import { expect } from '../expectation.ts';
import { flipped } from '../peer/bytes.ts';
import { codeOf, exchange, getJson, type HttpAnswer } from '../peer/http.ts';
import { type BrokerCase, core, full, robust } from './broker-case.ts';
import {
  askChallenge,
  claimsOf,
  enrol,
  enrolmentRequest,
  type MemberKeys,
  type Membership,
  newKeys,
  post,
  postOnce,
  proofOf,
} from './membership.ts';
import type { Scene } from './scene.ts';

const MAX_IDENTITY_BYTES = 900;
/** More than one address may ask at once (X). */
const FLOOD = 200;

/** Enrolment requests with one thing wrong; the code is spent, which a right request of its own key survives. */
const WRONG_REQUESTS: readonly (readonly [
  what: string,
  status: number,
  change: Readonly<Record<string, unknown>>,
])[] = [
  ['another method', 400, { method: 'password' }],
  ['no method', 400, { method: undefined }],
  ['no code', 400, { code: undefined }],
  ['a code of another form', 400, { code: 'no code!' }],
  ['a code nobody made', 403, { code: 'A'.repeat(24) }],
  ['no challenge', 400, { challenge: undefined }],
  ['a challenge nobody made', 403, { challenge: 'A'.repeat(54) }],
  ['a key that is too short', 400, { sig: 'AAAA' }],
  ['a session key that is no text', 400, { kex: 7 }],
  ['a proof that is no signature', 400, { proof: 'AAAA' }],
  ['a proof of zeros', 403, { proof: 'A'.repeat(86) }],
  ['another session key than the proof names', 403, { kex: base64url(new Uint8Array(32).fill(9)) }],
];

export const ENROLMENT_CASES: readonly BrokerCase[] = [
  core(
    'E-01',
    'enrols by a one-use code, and says where everything is',
    'E-2 E-4 E-5 E-6 E-7 E-9',
    async (scene) => {
      const member = await scene.member();
      const { claims, identity } = member;
      expect(identity.length <= MAX_IDENTITY_BYTES, `the identity has ${identity.length} bytes`);
      expect(claims.iss === member.installation, 'the identity is of another installation');
      expect(
        claims.sig === base64url(member.signing.publicKey.raw),
        'the identity names another signing key',
      );
      expect(
        claims.kex === base64url(member.session.publicKey.raw),
        'the identity names another session key',
      );
      expect(member.bus.length >= 1 && member.bus.length <= 8, `it names ${member.bus.length} buses`);
    },
  ),
  core('E-02', 'makes the agent id of installation and key', 'E-10', async (scene) => {
    const { claims, installation } = await scene.member();
    const { crypto } = scene.runtime;
    const id = idOf((data) => crypto.sha256(data), `co-pilot-agent-1\n${installation}\n${claims.sig}`);
    expect(claims.sub === id, `the agent id is ${claims.sub}, not ${id}`);
  }),
  core('E-03', 'signs identities under the header that the page says', 'E-13', async (scene) => {
    const [head = ''] = (await scene.member()).identity.split('.');
    const header = Buffer.from(head, 'base64url').toString('utf8');
    expect(header === '{"alg":"ES256","typ":"JWT"}', `the header is ${header}`);
  }),
  full('E-04', 'spends no code for a wrong proof', 'E-5 E-8 E-12', async (scene) => {
    const { status, code } = scene.stage.wrongProof;
    expect(status === 403 && code === 'ENROLMENT_REFUSED', `a wrong proof was answered ${status} ${code}`);
    // The agent enrolled by that code afterwards, or there were none.
    await scene.agent();
  }),
  full('E-05', 'gives the key that spent a code the same agent again', 'E-8 E-10', async (scene) => {
    const member = await scene.member();
    const again = await enrol(scene.runtime.crypto, member.code, member, scene.signal);
    expect(again.claims.sub === member.claims.sub, 'the same key is another agent now');
  }),
  full('E-06', 'refuses a spent code to every other key', 'E-8 E-12', async (scene) => {
    const member = await scene.member();
    const answer = await post(
      member.code.url + ENROLMENT_PATHS.enrol,
      await enrolmentRequest(scene.runtime.crypto, member.code, newKeys(scene.runtime.crypto), scene.signal),
      scene.signal,
    );
    expectRefusal(answer, 403, 'ENROLMENT_REFUSED');
  }),
  ...WRONG_REQUESTS.map(([what, status, change], index) =>
    full(
      `E-1${String(index + 1).padStart(2, '0')}`,
      `refuses an enrolment with ${what}`,
      'E-4 E-5 E-6 E-12',
      async (scene) => {
        const member = await scene.member();
        const right = await enrolmentRequest(scene.runtime.crypto, member.code, member, scene.signal);
        const answer = await post(
          member.code.url + ENROLMENT_PATHS.enrol,
          { ...right, ...change },
          scene.signal,
        );
        expectRefusal(answer, status, status === 400 ? 'INVALID_REQUEST' : 'ENROLMENT_REFUSED');
      },
    ),
  ),
  full('E-21', 'says the same of every enrolment it refuses', 'E-12', async (scene) => {
    const member = await scene.member();
    const { crypto } = scene.runtime;
    const url = member.code.url + ENROLMENT_PATHS.enrol;
    const stranger = await enrolmentRequest(crypto, member.code, newKeys(crypto), scene.signal);
    const right = await enrolmentRequest(crypto, member.code, member, scene.signal);
    const texts = new Set<string>();
    for (const body of [
      stranger,
      { ...stranger, code: 'A'.repeat(24) },
      { ...right, proof: 'A'.repeat(86) },
    ]) {
      const answer = await post(url, body, scene.signal);
      texts.add(Buffer.from(answer.body).toString());
    }
    expect(texts.size === 1, `the refusals differ: ${[...texts].join(' ')}`);
  }),
  full('E-22', 'refuses a body that is no JSON', 'E-12', async (scene) => {
    const { code } = await scene.member();
    expectRefusal(
      await post(code.url + ENROLMENT_PATHS.enrol, bytesOf('{"method":'), scene.signal),
      400,
      'INVALID_REQUEST',
    );
  }),
  full('E-23', 'refuses a body over 16 KiB', 'E-12', async (scene) => {
    const { code } = await scene.member();
    const body = { padding: 'x'.repeat(MAX_ENROLMENT_BYTES) };
    expectRefusal(await post(code.url + ENROLMENT_PATHS.enrol, body, scene.signal), 400, 'INVALID_REQUEST');
  }),
  full('E-24', 'enrols nobody by GET', 'E-6', async (scene) => {
    const { code } = await scene.member();
    const answer = await exchange({ method: 'GET', url: code.url + ENROLMENT_PATHS.enrol }, scene.signal);
    expect(answer.status >= 400, `it was answered ${answer.status}`);
  }),
  core('E-31', 'renews an identity by the proof of its key', 'E-11', async (scene) => {
    const member = await scene.member();
    const answer = await renew(scene, member);
    const body = getJson(answer);
    expect(
      answer.status === 200 && isRenewedIdentity(body),
      `it was answered ${answer.status} ${codeOf(answer)}`,
    );
    expect(body.certifier === base64url(member.code.certifier), 'the certifier is another than at enrolment');
    const claims = claimsOf(body.identity);
    const kept = (['iss', 'sub', 'owner', 'site', 'tier', 'sig', 'kex'] as const).filter(
      (name) => claims[name] !== member.claims[name],
    );
    expect(kept.length === 0, `renewal changed ${kept.join(', ')}`);
    const agent = await scene.connect({ ...member, identity: body.identity });
    await agent.expectUndisturbed();
  }),
  full('E-32', "refuses a renewal by another's proof", 'E-11 E-12', async (scene) => {
    const answer = await renew(scene, await scene.member(), { by: newKeys(scene.runtime.crypto) });
    expectRefusal(answer, 403, 'ENROLMENT_REFUSED');
  }),
  full('E-33', 'refuses a renewal by a proof that was made for an enrolment', 'E-5 E-11', async (scene) => {
    expectRefusal(await renew(scene, await scene.member(), { purpose: 'enrol' }), 403, 'ENROLMENT_REFUSED');
  }),
  full('E-34', 'refuses to renew an identity that was changed', 'E-11 E-13', async (scene) => {
    const member = await scene.member();
    const [head = '', body = '', signature = ''] = member.identity.split('.');
    const raw = flipped(new Uint8Array(Buffer.from(signature, 'base64url')), 3);
    const identity = `${head}.${body}.${base64url(raw)}`;
    expectRefusal(await renew(scene, member, { identity }), 403, 'ENROLMENT_REFUSED');
  }),
  full('E-35', 'refuses to renew what is no identity', 'E-11 E-12', async (scene) => {
    expectRefusal(
      await renew(scene, await scene.member(), { identity: 'no identity' }),
      400,
      'INVALID_REQUEST',
    );
  }),
];

/** Leaves no room for other enrolments for a while. */
export const ENROLMENT_FLOOD_CASES: readonly BrokerCase[] = [
  robust(
    'E-41',
    'slows one address down that asks too often, and serves it again later',
    'E-12 X-2',
    async (scene) => {
      // The agents may all be spent by now.
      const url = decodeEnrolmentCode(scene.subject.codes[0] ?? '').url + ENROLMENT_PATHS.challenge;
      const answers = await Promise.all(Array.from({ length: FLOOD }, () => postOnce(url, {}, scene.signal)));
      const refused = answers.filter(({ status }) => status !== 200);
      expect(refused.length > 0, `${FLOOD} requests at once were all served`);
      for (const answer of refused) expectRefusal(answer, 429, 'RATE_LIMITED');
      for (;;) {
        await scene.wait(0.5);
        if ((await postOnce(url, {}, scene.signal)).status === 200) return;
      }
    },
    { turn: 'last' },
  ),
];

interface Renewal {
  readonly by?: MemberKeys;
  readonly purpose?: ProofPurpose;
  readonly identity?: string;
}

async function renew(scene: Scene, member: Membership, change: Renewal = {}): Promise<HttpAnswer> {
  const challenge = await askChallenge(member.code.url, scene.signal);
  const proof = proofOf(scene.runtime.crypto, change.purpose ?? 'renew', challenge, change.by ?? member);
  const body = { identity: change.identity ?? member.identity, challenge: challenge.challenge, proof };
  return post(member.code.url + ENROLMENT_PATHS.renew, body, scene.signal);
}

function expectRefusal(answer: HttpAnswer, status: number, code: string): void {
  const seen = `${answer.status} ${codeOf(answer)}`;
  expect(seen === `${status} ${code}`, `it was answered ${seen}, not ${status} ${code}`);
}
