import type { FastifyInstance } from 'fastify';
import { afterEach, expect, it } from 'vitest';
import { enrol } from '../../../agent/enrol.ts';
import type { EnrolmentWay } from '../../../agent/enrolment-way.ts';
import type { PostJson } from '../../../agent/http-json.ts';
import { createEnrolment } from '../../../broker/enrolment/enrolment.ts';
import { createMemoryCodeStore } from '../../../broker/enrolment/memory-code-store.ts';
import type { Judgement } from '../../../broker/enrolment/method.ts';
import { judgeCredential } from '../../../broker/enrolment/methods.ts';
import { createEnrolmentServer } from '../../../broker/http/enrolment-routes.ts';
import { decodeInstallationPin, type ProofFields } from '../../../protocol/enrolment.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import { judgeIdentity } from '../../../protocol/tokens.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';
import { silentLog } from '../../doubles/silent-log.ts';

const random = createSeededRandom(11);
const crypto = createCrypto(random);
const clock = createManualClock();
const identityKey = crypto.generate('p256');
const certifier = crypto.generate('ed25519');
const TERMS = { owner: 'somebody', site: 'here', tier: 'semi-trusted' } as const;
const SECRET = 'a-code-that-nobody-made';
const keys = { signing: crypto.generate('ed25519'), session: crypto.generate('x25519') };
const servers: FastifyInstance[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

/** Enrolment whose codes are judged by `judge`, and the agent's way to it; lines that were logged go to `logged`. */
function createStage(
  spend: () => Promise<Awaited<ReturnType<ReturnType<typeof createMemoryCodeStore>['spend']>>>,
) {
  const logged: unknown[] = [];
  const enrolment = createEnrolment({
    runtime: { clock, random, crypto, log: { ...silentLog, info: (...line) => void logged.push(line) } },
    installation: 'home',
    identityKey,
    certifier: certifier.publicKey,
    codes: { ...createMemoryCodeStore(), spend },
    publicUrl: () => 'https://broker.example.org/',
    busUrls: () => ['wss://broker.example.org/bus'],
    agent: async () => undefined,
  });
  const server = createEnrolmentServer({ enrolment, clock, log: silentLog });
  servers.push(server);
  const seen: ProofFields[] = [];
  const pin = decodeInstallationPin(enrolment.pin());
  const way: EnrolmentWay = {
    ...pin,
    async credential(fields) {
      seen.push(fields);
      return { method: 'code', code: SECRET };
    },
  };
  const post: PostJson = async (url, payload) => {
    const answer = await server.inject({ method: 'POST', url: new URL(url).pathname, payload });
    return { status: answer.statusCode, body: answer.json() };
  };
  const signal = new AbortController().signal;
  const join = () => enrol(way, { keys, crypto, post, nowMs: () => clock.wallMs(), signal });
  return { enrolment, join, seen, logged, pin };
}

it('makes an identity of what the method judged, shown for the very challenge that the keys were proved for', async () => {
  const { join, seen } = createStage(async () => ({ kind: 'spent', terms: TERMS }));
  const { identity } = await join();
  const judged = judgeIdentity(crypto, identityKey.publicKey, identity, clock.wallMs());
  expect(judged).toMatchObject({ kind: 'valid', claims: { ...TERMS, sig: seen[0]?.sig, kex: seen[0]?.kex } });
  expect(seen).toMatchObject([{ installation: 'home', challenge: expect.stringMatching(/^[\w-]{16,}$/) }]);
});

it('what cannot be judged at the moment makes the agent try again, and a refusal makes it end', async () => {
  const away = createStage(async () => {
    throw new CoPilotError('ENROLMENT_UNAVAILABLE', 'who you are cannot be checked at the moment');
  });
  await expect(away.join()).rejects.toMatchObject({ code: 'UNREACHABLE' });
  const wrong = createStage(async () => ({ kind: 'refused' }));
  await expect(wrong.join()).rejects.toMatchObject({ code: 'ENROLMENT_REFUSED' });
});

it('tells the log why it refuses, and never what was shown (E-15)', async () => {
  const { join, logged } = createStage(async () => ({ kind: 'refused' }));
  await expect(join()).rejects.toMatchObject({ code: 'ENROLMENT_REFUSED' });
  expect(logged).toMatchObject([
    [{ method: 'code', reason: 'the code is unknown, ended or spent' }, expect.anything()],
  ]);
  expect(JSON.stringify(logged)).not.toContain(SECRET);
});

it('refuses a method that is not offered', async () => {
  const fields = { installation: 'home', challenge: 'c', sig: 's', kex: 'k' };
  const judged: Judgement = await judgeCredential({}, { method: 'code', code: SECRET }, fields);
  expect(judged).toMatchObject({ kind: 'refused' });
});

it('names the installation without a secret, and without the slash at the end of its address', () => {
  const { pin, enrolment } = createStage(async () => ({ kind: 'refused' }));
  expect(pin).toEqual({
    url: 'https://broker.example.org',
    certifier: new Uint8Array(certifier.publicKey.raw),
  });
  expect(enrolment.pin()).toMatch(/^cpi1\.[\w-]+$/);
});

it.each(['', 'cpi1.', 'cpi1.e30', 'cpc1.e30', `cpi1.${'A'.repeat(2_000)}`, 'cpi1.!'])(
  '%j is no pin',
  (text) => {
    expect(() => decodeInstallationPin(text)).toThrow(expect.objectContaining({ code: 'INVALID_CODE' }));
  },
);
