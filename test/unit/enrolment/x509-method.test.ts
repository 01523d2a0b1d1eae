import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { certificateWay } from '../../../agent/certificate-way.ts';
import { LOOK_AGAIN_MS } from '../../../broker/enrolment/x509/authority-directory.ts';
import { createX509Method, type X509Configuration } from '../../../broker/enrolment/x509/x509-method.ts';
import { type CertificateCredential, isEnrolmentRequest, MAX_CHAIN } from '../../../protocol/enrolment.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import { AUTHORITY, createIssuer, createListMaker, type Issued } from '../../doubles/certificates.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const DAY_MS = 86_400_000;
const FIELDS = { installation: 'home', challenge: 'challenge', sig: 'signing', kex: 'session' };
const PIN = { url: 'https://broker.example.org', certifier: new Uint8Array(32) };
const SIGNS = ['keyUsage=critical,digitalSignature'];
const crypto = createCrypto();

let folder: string;
let issue: ReturnType<typeof createIssuer>;
let list: ReturnType<typeof createListMaker>;
let root: Issued;
let middle: Issued;
let jane: Issued;
let revoked: Issued;

beforeAll(async () => {
  folder = await temporaryDirectory('x509');
  issue = createIssuer(folder);
  list = createListMaker(folder);
  root = issue({ subject: '/DC=org/DC=example/CN=Root', extensions: AUTHORITY });
  middle = issue({
    subject: '/DC=org/DC=example/CN=Middle',
    issuer: root,
    extensions: ['basicConstraints=critical,CA:TRUE,pathlen:0', 'keyUsage=critical,keyCertSign,cRLSign'],
    days: 25,
  });
  jane = issue({ subject: JANE, issuer: middle, extensions: SIGNS, days: 20 });
  revoked = issue({ subject: '/DC=org/CN=Revoked', issuer: middle, extensions: SIGNS, serial: 4_242 });
});
afterAll(() => removeDirectory(folder));

const JANE = '/DC=org/DC=example/CN=Jane, Doe';
const SUBJECT = 'DC=org,DC=example,CN=Jane\\, Doe';

let directory: string;
let aheadMs: number;
let logged: string[];
let clock: ReturnType<typeof createManualClock>;
let directories = 0;
beforeEach(() => {
  directories += 1;
  directory = join(folder, `authorities-${directories}`);
  mkdirSync(directory);
  copyFileSync(root.certificateFile, join(directory, 'root.pem'));
  list({ issuer: root, file: join(directory, 'root.r0') });
  list({ issuer: middle, file: join(directory, 'middle.crl'), revoked: [4_242], isDer: true, days: 10 });
  writeFileSync(join(directory, 'root.signing_policy'), 'what other programs read\n');
  clock = createManualClock();
  aheadMs = 0;
  logged = [];
});

function methodOf(change: Partial<X509Configuration> = {}) {
  const log = { ...silentLog, warn: (_fields: object, message: string) => void logged.push(message) };
  return createX509Method(
    {
      directory,
      proxies: 'none',
      revocationLists: 'required',
      rules: [{ site: 'grid', tier: 'untrusted' }],
      ...change,
    },
    { clock: { ...clock, wallMs: () => Date.now() + aheadMs }, crypto, log },
  );
}

/** What an agent shows that has the key of the first of them. */
async function shown(chain: readonly Issued[]): Promise<CertificateCredential> {
  const certificates = chain.map(({ pem }) => pem).join('');
  const way = certificateWay(PIN, async () => ({ certificates, key: chain[0]?.key ?? '' }));
  const credential = await way.credential(FIELDS);
  if (credential.method !== 'x509') throw new Error('it enrols in another way');
  return credential;
}

async function judged(chain: readonly Issued[], change: Partial<X509Configuration> = {}) {
  const judgement = await methodOf(change).judge(await shown(chain), FIELDS);
  return judgement.kind === 'known' ? judgement.terms : judgement.reason;
}

const PROXY = 'proxyCertInfo=critical,language:id-ppl-inheritAll';
let proxies = 0;
function proxyOf(issuer: Issued, subject: string, information = PROXY, extensions = SIGNS): Issued {
  proxies += 1;
  return issue({ subject: `${subject}/CN=${proxies}`, issuer, extensions: [information, ...extensions] });
}
const below = (subject: string): string => `${subject}/CN=${proxies}`;

describe('a certificate', () => {
  it('makes its subject at its authority the owner; two authorities’ subjects of one name are two owners', async () => {
    const one = await judged([jane, middle]);
    expect(one).toMatchObject({ owner: expect.stringMatching(/^x509\.h-[a-z2-7]{32}$/), site: 'grid' });
    expect(await judged([jane, middle, root])).toEqual(one);
    const other = issue({ subject: '/CN=Other root', extensions: AUTHORITY });
    const twin = issue({ subject: JANE, issuer: other, extensions: SIGNS });
    copyFileSync(other.certificateFile, join(directory, 'other.pem'));
    const second = await judged([twin], { revocationLists: 'if-there' });
    expect(second).toMatchObject({ site: 'grid' });
    expect(second).not.toEqual(one);
  });

  it('is what the first rule says that fits subject and authority', async () => {
    const rule = (change: object) => ({ site: 'cern', tier: 'trusted' as const, owner: 'jane', ...change });
    const terms = { owner: 'jane', site: 'cern', tier: 'trusted' };
    for (const fitting of [
      { subject: SUBJECT },
      { subject: 'DC=org,DC=example,*' },
      { authority: 'DC=org,DC=example,CN=Root' },
    ])
      expect(await judged([jane, middle], { rules: [rule(fitting)] })).toEqual(terms);
    for (const other of [{ subject: 'DC=org,DC=exam,*' }, { subject: 'DC=org' }, { authority: 'CN=Other' }])
      expect(await judged([jane, middle], { rules: [rule(other)] })).toMatch(/no rule fits DC=org/);
  });

  it.each([
    ['RSA', ['rsa:2048']],
    ['ECDSA on P-384', ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384']],
    ['Ed25519', ['ed25519']],
  ])('with a key for %s signs as well', async (_name, algorithm) => {
    const own = issue({ subject: '/CN=own', issuer: middle, extensions: SIGNS, algorithm });
    expect(await judged([own, middle])).toMatchObject({ site: 'grid' });
  });

  const leaf = (extensions: readonly string[], issuer: Issued = middle): Issued =>
    issue({ subject: '/DC=org/CN=somebody', issuer, extensions });
  const authority = (extensions: readonly string[], issuer: Issued = root): Issued =>
    issue({ subject: '/DC=org/CN=Authority', issuer, extensions });

  it.each<[string, RegExp, () => readonly Issued[]]>([
    ['that signs itself', /no authority/, () => [issue({ subject: JANE, extensions: SIGNS })]],
    ['without the one between it and its authority', /no authority/, () => [jane]],
    [
      'of an authority of the same name that nobody trusts',
      /no authority/,
      () => {
        const twin = issue({ subject: '/DC=org/DC=example/CN=Root', extensions: AUTHORITY });
        return [leaf(SIGNS, twin), twin];
      },
    ],
    ['signed by one that is no authority', /no authority$/, () => [leaf(SIGNS, jane), jane, middle]],
    [
      'of an authority that may not sign certificates',
      /no authority$/,
      () => {
        const weak = authority(['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,cRLSign']);
        return [leaf(SIGNS, weak), weak];
      },
    ],
    [
      'of more authorities than one above it allows',
      /more authorities/,
      () => {
        const low = authority(AUTHORITY, middle);
        return [leaf(SIGNS, low), low, middle];
      },
    ],
    ['of an authority itself', /authority’s/, () => [middle, root]],
    ['of the trusted authority itself', /nobody’s/, () => [root]],
    [
      'whose key is not for signing',
      /not for signing/,
      () => [leaf(['keyUsage=critical,keyEncipherment']), middle],
    ],
    [
      'that is for servers',
      /not for clients/,
      () => [leaf([...SIGNS, 'extendedKeyUsage=serverAuth']), middle],
    ],
    [
      'with a critical extension that nobody knows',
      /cannot be honoured/,
      () => [leaf([...SIGNS, '1.2.3.4=critical,ASN1:NULL']), middle],
    ],
    [
      'of an authority that is bound to names',
      /cannot be honoured/,
      () => {
        const bound = authority([...AUTHORITY, 'nameConstraints=permitted;dirName:names']);
        return [leaf(SIGNS, bound), bound];
      },
    ],
    ['that was revoked', /revoked/, () => [revoked, middle]],
    ['with a stranger between', /signed by the next/, () => [jane, revoked, middle]],
  ])('%s is refused', async (_what, reason, make) => {
    expect(await judged(make(), { revocationLists: 'if-there' })).toMatch(reason);
  });

  it('with a weak key, or signed with SHA-1, is refused', async () => {
    const weak = issue({ subject: '/CN=weak', issuer: middle, extensions: SIGNS, algorithm: ['rsa:1024'] });
    expect(await judged([weak, middle])).toMatch(/key is of a kind/);
    const old = issue({ subject: '/CN=old', issuer: middle, extensions: SIGNS, algorithm: [...EC, '-sha1'] });
    expect(await judged([old, middle])).toMatch(/signed in a way/);
  });

  it('that has ended, or whose authority has, is refused, as is one of tomorrow', async () => {
    aheadMs = 21 * DAY_MS;
    expect(await judged([jane, middle])).toMatch(/has ended: DC=org,DC=example,CN=Jane/);
    aheadMs = -DAY_MS;
    expect(await judged([jane, middle])).toMatch(/has not begun/);
  });

  it('shown by who has not its key, or for another challenge, keys or installation, is refused', async () => {
    const method = methodOf();
    const right = await shown([jane, middle]);
    const refused = { kind: 'refused', reason: expect.stringMatching(/did not sign/) };
    for (const change of [{ installation: 'away' }, { challenge: 'd' }, { sig: 'd' }, { kex: 'd' }])
      expect(await method.judge(right, { ...FIELDS, ...change })).toMatchObject(refused);
    const stolen = { ...right, signature: (await shown([revoked, middle])).signature };
    expect(await method.judge(stolen, FIELDS)).toMatchObject(refused);
    expect(await method.judge(right, FIELDS)).toMatchObject({ kind: 'known' });
  });

  it('with any byte of it changed is refused, and takes nobody down', async () => {
    const method = methodOf();
    const { chain, signature } = await shown([jane, middle]);
    const bytes = Buffer.from(chain[0] ?? '', 'base64url');
    for (let at = 0; at < bytes.length; at += 5) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 0x81;
      const spoilt = [changed.toString('base64url'), ...chain.slice(1)];
      expect(await method.judge({ chain: spoilt, signature }, FIELDS)).toMatchObject({ kind: 'refused' });
    }
  });

  it('comes with at most eight in all, of 8 KiB each, in base64url (E-17)', () => {
    const proof = {
      challenge: 'c'.repeat(32),
      sig: 's'.repeat(43),
      kex: 'k'.repeat(43),
      proof: 'p'.repeat(86),
    };
    const request = (chain: unknown, signature: unknown = 'AAAA') => ({
      method: 'x509',
      chain,
      signature,
      ...proof,
    });
    expect(isEnrolmentRequest(request(Array(MAX_CHAIN).fill('AAAA')))).toBe(true);
    for (const chain of [Array(50).fill('AAAA'), [], 'AAAA', [7], ['+/=='], ['A'.repeat(9_000)], undefined])
      expect(isEnrolmentRequest(request(chain))).toBe(false);
    expect(isEnrolmentRequest(request(['AAAA'], 'A'.repeat(9_000)))).toBe(false);
  });

  it('whose key is another’s, or is not there, is not shown at all', async () => {
    const other = { ...jane, key: revoked.key };
    await expect(shown([other, middle])).rejects.toMatchObject({ code: 'ENROLMENT_REFUSED' });
    await expect(shown([{ ...jane, key: '' }])).rejects.toMatchObject({ code: 'ENROLMENT_REFUSED' });
    await expect(shown([])).rejects.toMatchObject({ code: 'ENROLMENT_REFUSED' });
  });
});

const EC = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];

describe('a proxy', () => {
  it('stands for its owner where the operator says so, in a file with its key as well', async () => {
    const owner = await judged([jane, middle]);
    const proxy = proxyOf(jane, JANE);
    const second = proxyOf(proxy, below(JANE));
    expect(await judged([proxy, jane, middle])).toBe('it is a proxy');
    expect(await judged([proxy, jane, middle], { proxies: 'full' })).toEqual(owner);
    expect(await judged([second, proxy, jane, middle], { proxies: 'full' })).toEqual(owner);
  });

  it.each<[string, 'full' | 'limited', string, RegExp | undefined]>([
    ['limited, where only full ones are taken', 'full', '1.3.6.1.4.1.3536.1.1.1.9', /does not stand/],
    ['limited, where those are taken', 'limited', '1.3.6.1.4.1.3536.1.1.1.9', undefined],
    ['independent of its owner', 'limited', 'id-ppl-independent', /does not stand/],
    ['of a language that nobody knows', 'limited', '1.2.3.4', /does not stand/],
  ])('%s', async (_what, taken, language, reason) => {
    const proxy = proxyOf(jane, JANE, `proxyCertInfo=critical,language:${language}`);
    const judgement = await judged([proxy, jane, middle], { proxies: taken });
    if (reason === undefined) expect(judgement).toMatchObject({ site: 'grid' });
    else expect(judgement).toMatch(reason);
  });

  it.each<[string, RegExp, () => readonly Issued[]]>([
    [
      'of a proxy that may have none below it',
      /more proxies below/,
      () => {
        const last = proxyOf(jane, JANE, `${PROXY},pathlen:0`);
        return [proxyOf(last, below(JANE)), last, jane, middle];
      },
    ],
    [
      'of another name than its owner',
      /not as a proxy/,
      () => [proxyOf(jane, '/DC=org/CN=Root'), jane, middle],
    ],
    [
      'that makes itself an authority',
      /not as a proxy/,
      () => [proxyOf(jane, JANE, PROXY, AUTHORITY), jane, middle],
    ],
    [
      'that does not say so plainly',
      /plainly/,
      () => [proxyOf(jane, JANE, PROXY.replace('critical,', '')), jane, middle],
    ],
    ['whose owner was revoked', /revoked/, () => [proxyOf(revoked, '/DC=org/CN=Revoked'), revoked, middle]],
    [
      'that signed for somebody else',
      /no authority$|not as a proxy/,
      () => {
        const proxy = proxyOf(jane, JANE);
        return [
          issue({ subject: '/DC=org/CN=admin', issuer: proxy, extensions: SIGNS }),
          proxy,
          jane,
          middle,
        ];
      },
    ],
  ])('%s is refused', async (_what, reason, make) => {
    expect(await judged(make(), { proxies: 'full' })).toMatch(reason);
  });
});

describe('a revocation list', () => {
  it('that is stale, or not there, refuses its authority’s certificates, and the log says so', async () => {
    aheadMs = 11 * DAY_MS;
    expect(await judged([jane, middle])).toMatch(/list of DC=org,DC=example,CN=Middle is stale/);
    aheadMs = 0;
    rmSync(join(directory, 'middle.crl'));
    expect(await judged([jane, middle])).toMatch(/there is no revocation list of .*CN=Middle/);
    expect(await judged([jane, middle], { revocationLists: 'if-there' })).toMatchObject({ site: 'grid' });
  });

  it('by another key, or cut short, is none', async () => {
    const twin = issue({ subject: '/DC=org/DC=example/CN=Middle', extensions: AUTHORITY });
    list({ issuer: twin, file: join(directory, 'middle.crl'), isDer: true });
    expect(await judged([jane, middle])).toMatch(/there is no revocation list/);
    writeFileSync(join(directory, 'middle.crl'), Buffer.from('3082ffff30', 'hex'));
    expect(await judged([jane, middle])).toMatch(/there is no revocation list/);
    expect(logged).toContain('an authority or its revocation list cannot be used');
  });

  it('that is new is read within a minute, and so is a new authority', async () => {
    const method = methodOf();
    const credential = await shown([jane, middle]);
    expect(await method.judge(credential, FIELDS)).toMatchObject({ kind: 'known' });
    const serial = Number.parseInt(jane.certificateFile.split('/').at(-1) ?? '', 10);
    list({ issuer: middle, file: join(directory, 'middle.crl'), revoked: [serial] });
    expect(await method.judge(credential, FIELDS)).toMatchObject({ kind: 'known' });
    clock.advance(LOOK_AGAIN_MS);
    expect(await method.judge(credential, FIELDS)).toMatchObject({ reason: 'it was revoked' });
    rmSync(directory, { recursive: true });
    clock.advance(LOOK_AGAIN_MS);
    await expect(method.judge(credential, FIELDS)).rejects.toMatchObject({ code: 'ENROLMENT_UNAVAILABLE' });
  });
});
