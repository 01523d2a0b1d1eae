import { describe, expect, it } from 'vitest';
import { CHALLENGE_SECONDS } from '../../../broker/enrolment/challenge.ts';
import { createEnrolment } from '../../../broker/enrolment/enrolment.ts';
import { createMemoryCodeStore } from '../../../broker/enrolment/memory-code-store.ts';
import type { AgentRow } from '../../../broker/core/state.ts';
import { base64url } from '../../../protocol/encoding.ts';
import { decodeEnrolmentCode, type EnrolmentRequest, proofBytes } from '../../../protocol/enrolment.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import { judgeIdentity } from '../../../protocol/tokens.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';
import { silentLog } from '../../doubles/silent-log.ts';

const DAY_MS = 24 * 3600 * 1000;
const TERMS = { owner: 'volunteer', site: 'home', tier: 'untrusted' } as const;

function createStage(status?: AgentRow['status']) {
  const clock = createManualClock();
  const random = createSeededRandom(7);
  const crypto = createCrypto(random);
  const identityKey = crypto.generate('p256');
  const certifier = crypto.generate('ed25519');
  const standing = { status };
  const enrolment = createEnrolment({
    runtime: { clock, random, crypto, log: silentLog },
    installation: 'home',
    identityKey,
    certifier: certifier.publicKey,
    codes: createMemoryCodeStore(),
    publicUrl: () => 'http://127.0.0.1:1',
    busUrls: () => ['ws://127.0.0.1:2/bus'],
    ownerLimit: { burst: 3, everyMs: 1_000 },
    agent: async (id) =>
      standing.status === undefined ? undefined : ({ id, status: standing.status } as AgentRow),
  });
  const agent = () => ({ signing: crypto.generate('ed25519'), session: crypto.generate('x25519') });
  const sign = (keys: ReturnType<typeof agent>, purpose: 'enrol' | 'renew', challenge: string) => {
    const sig = base64url(keys.signing.publicKey.raw);
    const kex = base64url(keys.session.publicKey.raw);
    const proof = base64url(
      crypto.sign(keys.signing, proofBytes(purpose, { installation: 'home', challenge, sig, kex })),
    );
    return { sig, kex, proof };
  };
  const request = async (keys: ReturnType<typeof agent>, code: string): Promise<EnrolmentRequest> => {
    const { challenge } = enrolment.challenge();
    return {
      method: 'code',
      code: decodeEnrolmentCode(code).secret,
      challenge,
      ...sign(keys, 'enrol', challenge),
    };
  };
  return { clock, crypto, identityKey, enrolment, agent, sign, request, standing };
}

const refused = { code: 'ENROLMENT_REFUSED' };

describe('enrolment by one-use code', () => {
  it('answers an identity that binds both keys, for the terms of the code', async () => {
    const stage = createStage();
    const keys = stage.agent();
    const answer = await stage.enrolment.enrol(
      await stage.request(keys, await stage.enrolment.issueCode(TERMS, 60)),
    );
    const judged = judgeIdentity(
      stage.crypto,
      stage.identityKey.publicKey,
      answer.identity,
      stage.clock.wallMs(),
    );
    expect(judged).toMatchObject({
      kind: 'valid',
      claims: {
        owner: 'volunteer',
        kex: base64url(keys.session.publicKey.raw),
        sig: base64url(keys.signing.publicKey.raw),
      },
    });
    expect(answer.identity.length).toBeLessThanOrEqual(900);
  });

  it('gives the same agent its answer again, and nobody else', async () => {
    const stage = createStage();
    const code = await stage.enrolment.issueCode(TERMS, 60);
    const keys = stage.agent();
    await stage.enrolment.enrol(await stage.request(keys, code));
    await expect(stage.enrolment.enrol(await stage.request(keys, code))).resolves.toMatchObject({
      installation: 'home',
    });
    await expect(stage.enrolment.enrol(await stage.request(stage.agent(), code))).rejects.toMatchObject(
      refused,
    );
  });

  it('slows down an owner whose agents enrol without end (RATE_LIMITED), and nobody else', async () => {
    const stage = createStage();
    const enrolOf = async (owner: string) => {
      const code = await stage.enrolment.issueCode({ ...TERMS, owner }, 60);
      return stage.enrolment.enrol(await stage.request(stage.agent(), code));
    };
    for (let agents = 0; agents < 3; agents++) await enrolOf('one');
    await expect(enrolOf('one')).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    await expect(enrolOf('two')).resolves.toMatchObject({ installation: 'home' });
    stage.clock.advance(1_000);
    await expect(enrolOf('one')).resolves.toMatchObject({ installation: 'home' });
  });

  it('lets one of a hundred win a race for one code', async () => {
    const stage = createStage();
    const code = await stage.enrolment.issueCode(TERMS, 60);
    const requests = await Promise.all(Array.from({ length: 100 }, () => stage.request(stage.agent(), code)));
    const results = await Promise.allSettled(requests.map((request) => stage.enrolment.enrol(request)));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it.each<[string, (request: EnrolmentRequest, stage: ReturnType<typeof createStage>) => EnrolmentRequest]>([
    ['an unknown code', (request) => ({ ...request, code: 'x'.repeat(24) })],
    [
      'a challenge we did not issue',
      (request) => ({
        ...request,
        challenge: request.challenge.replace(/^./, (c) => (c === 'A' ? 'B' : 'A')),
      }),
    ],
    [
      'a proof for another session key',
      (request, { crypto }) => ({ ...request, kex: base64url(crypto.generate('x25519').publicKey.raw) }),
    ],
    [
      'a proof by another signing key',
      (request, { crypto }) => ({ ...request, sig: base64url(crypto.generate('ed25519').publicKey.raw) }),
    ],
    [
      'a proof made for a renewal',
      (request, stage) => {
        const keys = stage.agent();
        return { ...request, ...stage.sign(keys, 'renew', request.challenge) };
      },
    ],
  ])('refuses %s and spends nothing', async (_name, spoil) => {
    const stage = createStage();
    const code = await stage.enrolment.issueCode(TERMS, 60);
    const request = await stage.request(stage.agent(), code);
    await expect(stage.enrolment.enrol(spoil(request, stage))).rejects.toMatchObject(refused);
    await expect(stage.enrolment.enrol(request)).resolves.toMatchObject({ installation: 'home' });
  });

  it('refuses a code and a challenge past their time', async () => {
    const stage = createStage();
    const code = await stage.enrolment.issueCode(TERMS, 60);
    const old = await stage.request(stage.agent(), code);
    stage.clock.advance(CHALLENGE_SECONDS * 1000 + 1);
    await expect(stage.enrolment.enrol(old)).rejects.toMatchObject(refused);
    await expect(stage.enrolment.enrol(await stage.request(stage.agent(), code))).rejects.toMatchObject(
      refused,
    );
  });

  it('refuses a revoked agent, with a code as with a renewal', async () => {
    const stage = createStage();
    const keys = stage.agent();
    const { identity } = await stage.enrolment.enrol(
      await stage.request(keys, await stage.enrolment.issueCode(TERMS, 60)),
    );
    stage.standing.status = 'revoked';
    const { challenge } = stage.enrolment.challenge();
    const { proof } = stage.sign(keys, 'renew', challenge);
    await expect(stage.enrolment.renew({ identity, challenge, proof })).rejects.toMatchObject({
      code: 'REVOKED',
    });
    const again = await stage.request(keys, await stage.enrolment.issueCode(TERMS, 60));
    await expect(stage.enrolment.enrol(again)).rejects.toMatchObject({ code: 'REVOKED' });
  });
});

describe('renewal of an identity', () => {
  async function enrolled() {
    const stage = createStage();
    const keys = stage.agent();
    const { identity } = await stage.enrolment.enrol(
      await stage.request(keys, await stage.enrolment.issueCode(TERMS, 60)),
    );
    const renewal = (by = keys) => {
      const { challenge } = stage.enrolment.challenge();
      // The statement names the keys of the identity, whoever signs it.
      const sig = base64url(keys.signing.publicKey.raw);
      const kex = base64url(keys.session.publicKey.raw);
      const statement = proofBytes('renew', { installation: 'home', challenge, sig, kex });
      return { identity, challenge, proof: base64url(stage.crypto.sign(by.signing, statement)) };
    };
    return { stage, renewal };
  }

  it('is given up to seven days after the end, to whoever holds the key', async () => {
    const { stage, renewal } = await enrolled();
    stage.clock.advance(8 * DAY_MS - 60_000);
    const { identity } = await stage.enrolment.renew(renewal());
    expect(
      judgeIdentity(stage.crypto, stage.identityKey.publicKey, identity, stage.clock.wallMs()).kind,
    ).toBe('valid');
  });

  it('is refused later, and to a thief of the identity without its key', async () => {
    const { stage, renewal } = await enrolled();
    await expect(stage.enrolment.renew(renewal(stage.agent()))).rejects.toMatchObject(refused);
    stage.clock.advance(8 * DAY_MS + 120_000);
    await expect(stage.enrolment.renew(renewal())).rejects.toMatchObject(refused);
  });
});
