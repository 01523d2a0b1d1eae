import { describe, expect, it } from 'vitest';
import { createBoincMethod } from '../../../broker/enrolment/boinc/boinc-method.ts';
import type { BoincProject } from '../../../broker/enrolment/boinc/boinc-project.ts';
import { createMemoryBoincProject } from '../../../broker/enrolment/boinc/memory-boinc-project.ts';
import type { BoincAccount } from '../../../protocol/boinc-account.ts';
import { isEnrolmentRequest } from '../../../protocol/enrolment.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import { boincProjectConformance } from '../../conformance/boinc-project.ts';
import { BOINC_ROWS, weakAuthenticator } from '../../doubles/boinc-tables.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';

const FIELDS = { installation: 'home', challenge: 'c', sig: 's', kex: 'k' };
const row = (id: number) => BOINC_ROWS.users.get(id)!;
const STRONG = row(4711).authenticator;

function createStage(requireHost = false) {
  const random = createSeededRandom(3);
  const clock = createManualClock();
  const real = createCrypto(random);
  const asked = { user: 0, host: 0, digests: 0 };
  const twin = createMemoryBoincProject(BOINC_ROWS.users, BOINC_ROWS.hosts);
  const project: BoincProject = {
    user: (id) => ((asked.user += 1), twin.user(id)),
    host: (id) => ((asked.host += 1), twin.host(id)),
  };
  const crypto = { ...real, sha256: (data: Uint8Array) => ((asked.digests += 1), real.sha256(data)) };
  const terms = { project: 'lhcathome', site: 'home', tier: 'untrusted' as const, requireHost };
  const method = createBoincMethod(terms, project, { clock, random, crypto });
  const judge = (account: BoincAccount) => method.judge(account, FIELDS);
  const why = async (account: BoincAccount) => {
    const judged = await judge(account);
    return judged.kind === 'refused' ? judged.reason : judged.kind;
  };
  return { judge, why, asked, clock };
}

describe('the memory twin of a BOINC project', () => {
  boincProjectConformance(() => createMemoryBoincProject(BOINC_ROWS.users, BOINC_ROWS.hosts));
});

describe('a BOINC account', () => {
  it('makes its user the owner, by the strong authenticator and by the weak one', async () => {
    const { judge } = createStage();
    const terms = { owner: 'boinc.lhcathome.4711', site: 'home', tier: 'untrusted' };
    for (const authenticator of [STRONG, weakAuthenticator(4711, row(4711))])
      expect(await judge({ user: 4711, authenticator, host: 90 })).toEqual({ kind: 'known', terms });
  });

  it('is refused with what is another user\u2019s, wrong, or of nobody who is left', async () => {
    const { why } = createStage();
    const unknown = 'the user is unknown, or the authenticator is not his';
    for (const [user, authenticator] of [
      [4712, STRONG],
      [4712, weakAuthenticator(4711, row(4711))],
      [4711, `4712_${weakAuthenticator(4711, row(4711)).slice(5)}`],
      [4711, STRONG.replace('0', '1')],
      [4711, `4711_${STRONG}`],
      [4715, weakAuthenticator(4715, row(4715))],
      [1, STRONG],
    ] as const)
      expect(await why({ user, authenticator })).toBe(unknown);
  });

  it('tells nobody which users there are: as much is asked and compared for those who are not', async () => {
    const costs = [];
    for (const user of [4711, 1, 4713, 4715]) {
      const { judge, asked } = createStage();
      expect((await judge({ user, authenticator: 'e'.repeat(32), host: 90 })).kind).toBe('refused');
      costs.push({ ...asked });
    }
    expect(costs[0]).toEqual({ user: 1, host: 0, digests: expect.any(Number) });
    expect(new Set(costs.map((cost) => JSON.stringify(cost))).size).toBe(1);
  });

  it('of a user who is banned is refused until the ban ends', async () => {
    const { why } = createStage();
    expect(await why({ user: 4713, authenticator: row(4713).authenticator })).toBe('the user is banned');
    expect(await why({ user: 4714, authenticator: row(4714).authenticator })).toBe('known');
  });

  it.each([
    [90, 'known'],
    [91, 'known'],
    [93, 'the project gives the host no work'],
    [94, 'the host is another user\u2019s'],
    [96, 'the host is another user\u2019s'],
    [95, 'the host was merged too often'],
    [97, 'the host is unknown'],
    [1, 'the host is unknown'],
  ])('with host %i is %s', async (host, expected) => {
    const { why, asked } = createStage();
    expect(await why({ user: 4711, authenticator: STRONG, host })).toBe(expected);
    expect(asked.host).toBeLessThanOrEqual(11);
  });

  it('without a host is refused where one is required', async () => {
    expect(await createStage(true).why({ user: 4711, authenticator: STRONG })).toBe('it names no host');
    expect(await createStage(false).why({ user: 4711, authenticator: STRONG })).toBe('known');
  });

  it('is asked about only so often, whoever asks and whether it is there or not', async () => {
    for (const user of [4711, 1]) {
      const { judge, asked, clock } = createStage();
      const guess = () => judge({ user, authenticator: 'e'.repeat(32) });
      for (let tries = 0; tries < 20; tries++) await guess();
      await expect(guess()).rejects.toMatchObject({ code: 'RATE_LIMITED' });
      expect(asked.user).toBe(20);
      expect((await judge({ user: 4712, authenticator: row(4712).authenticator })).kind).toBe('known');
      clock.advance(5_000);
      expect((await guess()).kind).toBe('refused');
    }
  });

  // proves: E-16
  it.each<[string, object, boolean]>([
    ['strong', { user: 4711, authenticator: STRONG, host: 90 }, true],
    ['weak', { user: 4711, authenticator: `4711_${STRONG}` }, true],
    ['a user that is a text', { user: '4711', authenticator: STRONG }, false],
    ['SQL', { user: 4711, authenticator: `' OR 1=1 -- ${STRONG}` }, false],
    ['upper case', { user: 4711, authenticator: STRONG.toUpperCase() }, false],
    ['a line break', { user: 4711, authenticator: `${STRONG}\n` }, false],
    ['user 0', { user: 0, authenticator: STRONG }, false],
    ['a host that is no number', { user: 1, authenticator: STRONG, host: 1.5 }, false],
    ['a list', { user: [4711], authenticator: [STRONG] }, false],
  ])('%s is a request or none', (_what, account, isOne) => {
    const proof = {
      challenge: 'c'.repeat(22),
      sig: 's'.repeat(43),
      kex: 'k'.repeat(43),
      proof: 'p'.repeat(86),
    };
    expect(isEnrolmentRequest({ method: 'boinc', ...account, ...proof })).toBe(isOne);
  });
});
