import { describe, expect, it } from 'vitest';
import { type Membership, renewIdentity } from '../../../agent/enrol.ts';
import { join } from '../../../agent/join.ts';
import { saveMembership } from '../../../agent/store/agent-files.ts';
import { createEnrolment } from '../../../broker/enrolment/enrolment.ts';
import { createMemoryCodeStore } from '../../../broker/enrolment/memory-code-store.ts';
import { createEnrolmentServer } from '../../../broker/http/enrolment-routes.ts';
import type { AgentRow } from '../../../broker/core/state.ts';
import { agentIdOf } from '../../../protocol/agent-id.ts';
import { signEndorsement } from '../../../protocol/endorsement.ts';
import { base64url } from '../../../protocol/encoding.ts';
import { decodeEnrolmentCode, encodeEnrolmentCode, isRenewalRequest } from '../../../protocol/enrolment.ts';
import type { Identity } from '../../../protocol/generated/types.ts';
import { createCrypto, createNodeRuntime } from '../../../protocol/runtime/node-runtime.ts';
import type { PrivateKey } from '../../../protocol/runtime/runtime.ts';
import { judgeIdentity, signIdentity } from '../../../protocol/tokens.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const crypto = createCrypto();
const installation = 'home';
const keys = { signing: crypto.generate('ed25519'), session: crypto.generate('x25519') };
const sig = base64url(keys.signing.publicKey.raw);
const agent = agentIdOf(crypto, installation, sig);
const [oldKey, newKey, stranger] = [
  crypto.generate('p256'),
  crypto.generate('p256'),
  crypto.generate('p256'),
];
const [certifier, next] = [crypto.generate('ed25519'), crypto.generate('ed25519')];
const raw = (key: PrivateKey) => base64url(key.publicKey.raw);

type EnrolmentOptions = Parameters<typeof createEnrolment>[0];

/** An agent with an identity of the old key, and an enrolment that has the new one. */
function stage(options: Partial<EnrolmentOptions>, change: Partial<Identity> = {}) {
  const clock = createManualClock();
  const iat = Math.floor(clock.wallMs() / 1000);
  const enrolment = createEnrolment({
    runtime: { clock, random: createSeededRandom(7), crypto, log: silentLog },
    installation,
    identityKey: newKey,
    certifier: certifier.publicKey,
    codes: createMemoryCodeStore(),
    publicUrl: () => 'http://127.0.0.1:1',
    busUrls: () => ['ws://127.0.0.1:2/bus'],
    agent: async () => undefined,
    ...options,
  });
  const claims: Identity = {
    iss: installation,
    sub: agent,
    owner: 'somebody',
    site: 'home',
    tier: 'untrusted',
    sig,
    kex: raw(keys.session),
    iat,
    exp: iat + 3_600,
    ...change,
  };
  const membership: Membership = {
    url: 'http://127.0.0.1:1',
    installation,
    certifier: raw(certifier),
    bus: ['ws://127.0.0.1:2/bus'],
    identity: signIdentity(crypto, oldKey, claims),
    expiresInSeconds: 3_600,
    obtainedMs: 0,
  };
  const post = async (url: string, body: object) => {
    if (url.endsWith('/challenge')) return { status: 200, body: enrolment.challenge() };
    if (!isRenewalRequest(body)) throw new Error('this is no renewal');
    return enrolment.renew(body).then(
      (answer): { status: number; body: unknown } => ({ status: 200, body: answer }),
      (error: unknown) => ({ status: 403, body: error }),
    );
  };
  const asked = { keys, crypto, post, nowMs: () => clock.wallMs(), signal: new AbortController().signal };
  return { clock, membership, enrolment, renew: (kept = membership) => renewIdentity(kept, asked) };
}

const TERMS = { owner: 'somebody', site: 'home', tier: 'untrusted' } as const;
const REFUSED = { code: 'ENROLMENT_REFUSED' };
const row = (change: Partial<AgentRow> = {}) =>
  ({
    id: agent,
    status: 'active',
    owner: 'somebody',
    site: 'home',
    tier: 'untrusted',
    ...change,
  }) as AgentRow;

describe('an identity of a key that was rolled', () => {
  it('is renewed while what that key signed can be, and by no key that never was', async () => {
    const { clock, renew } = stage({ renewableKeys: () => [newKey.publicKey, oldKey.publicKey] });
    const { identity } = await renew();
    expect(judgeIdentity(crypto, newKey.publicKey, identity, clock.wallMs()).kind).toBe('valid');
    await expect(stage({}).renew()).rejects.toMatchObject(REFUSED);
    const other = stage({ renewableKeys: () => [newKey.publicKey, stranger.publicKey] });
    await expect(other.renew()).rejects.toMatchObject(REFUSED);
  });
});

describe('an identity of a key that an emergency took away', () => {
  const droppedKeys = () => [oldKey.publicKey];

  it('is renewed by proof of possession, for an agent that the ledger knows', async () => {
    const { clock, renew } = stage({ droppedKeys, agent: async () => row() });
    const { identity } = await renew();
    expect(judgeIdentity(crypto, newKey.publicKey, identity, clock.wallMs())).toMatchObject({
      kind: 'valid',
      claims: { sub: agent, owner: 'somebody', tier: 'untrusted' },
    });
  });

  it('gives what the ledger knows and nothing that a thief of the key wrote into it', async () => {
    const forged = { owner: 'the-director', site: 'cern', tier: 'trusted' } as const;
    const { clock, renew } = stage({ droppedKeys, agent: async () => row() }, forged);
    const { identity } = await renew();
    expect(judgeIdentity(crypto, newKey.publicKey, identity, clock.wallMs())).toMatchObject({
      claims: { owner: 'somebody', site: 'home', tier: 'untrusted' },
    });
  });

  it('is refused for an agent that the ledger never saw: it enrols again', async () => {
    await expect(stage({ droppedKeys }).renew()).rejects.toMatchObject(REFUSED);
  });

  it('looks for the agent whose key it is, whatever name the thief wrote', async () => {
    const asked: string[] = [];
    const sub = 'a'.repeat(26);
    const { renew } = stage(
      { droppedKeys, agent: async (id) => (asked.push(id), id === sub ? row({ id }) : undefined) },
      { sub },
    );
    await expect(renew()).rejects.toMatchObject(REFUSED);
    expect(new Set(asked)).toEqual(new Set([agent]));
  });

  it('is refused for one that was revoked', async () => {
    const { renew } = stage({ droppedKeys, agent: async () => row({ status: 'revoked' }) });
    await expect(renew()).rejects.toMatchObject({ code: 'REVOKED' });
  });
});

describe('a certifier that is to follow', () => {
  const word = (key: PrivateKey, wallMs: number, iss = installation) => {
    const iat = Math.floor(wallMs / 1000);
    return signEndorsement(crypto, key, { iss, certifier: raw(next), iat, exp: iat + 3_600 });
  };
  const renewableKeys = () => [newKey.publicKey, oldKey.publicKey];

  // proves: E-18
  it('is believed by the word of the one that is, and takes its place when it answers', async () => {
    const wallMs = createManualClock().wallMs();
    const announced = await stage({ renewableKeys, endorsement: () => word(certifier, wallMs) }).renew();
    expect(announced).toMatchObject({ certifier: raw(certifier), nextCertifier: raw(next) });
    const after = stage({ renewableKeys, certifier: next.publicKey });
    const renewed = await after.renew({ ...after.membership, ...announced });
    expect(renewed.certifier).toBe(raw(next));
    expect(renewed).not.toHaveProperty('nextCertifier');
  });

  it.each([
    ['somebody else', next, installation],
    ['another installation', certifier, 'elsewhere'],
  ])('is not believed by the word of %s', async (_who, key, iss) => {
    const wallMs = createManualClock().wallMs();
    const renewed = await stage({ renewableKeys, endorsement: () => word(key, wallMs, iss) }).renew();
    expect(renewed).not.toHaveProperty('nextCertifier');
  });

  it('at once, in an emergency, is believed by who is given a new code, with the keys and the id that it has', async () => {
    const directory = await temporaryDirectory('rolled');
    const { membership, enrolment, clock } = stage({ certifier: next.publicKey });
    const server = createEnrolmentServer({ enrolment, clock, log: silentLog });
    const url = await server.listen({ host: '127.0.0.1', port: 0 });
    const codeOf = (key: PrivateKey, secret: string) =>
      encodeEnrolmentCode({ url, certifier: key.publicKey.raw, secret });
    const runtime = { ...createNodeRuntime(silentLog), clock };
    const joining = (code?: string) =>
      join(directory, keys, runtime, {
        signal: AbortSignal.timeout(10_000),
        ...(code !== undefined && { code }),
      });
    try {
      await saveMembership(directory, membership);
      expect(await joining()).toEqual(membership);
      // A code of the certifier that it believes changes nothing: it is not spent.
      expect(await joining(codeOf(certifier, 'x'.repeat(24)))).toEqual(membership);
      const { secret } = decodeEnrolmentCode(await enrolment.issueCode(TERMS, 60));
      const joined = await joining(codeOf(next, secret));
      expect(joined).toMatchObject({ url, certifier: raw(next) });
      expect(judgeIdentity(crypto, newKey.publicKey, joined!.identity, clock.wallMs())).toMatchObject({
        kind: 'valid',
        claims: { sub: agent, owner: 'somebody' },
      });
    } finally {
      await server.close();
      await removeDirectory(directory);
    }
  });

  it('that nobody announced is not believed: the agent keeps what it has', async () => {
    const { renew } = stage({ renewableKeys, certifier: next.publicKey });
    await expect(renew()).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' });
  });
});
