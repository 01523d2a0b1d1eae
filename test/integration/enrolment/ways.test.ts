import { importJWK, SignJWT } from 'jose';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { chosenWay, environmentWay, type WayArguments, wayFiles } from '../../../agent/chosen-way.ts';
import { enrol } from '../../../agent/enrol.ts';
import { postJson } from '../../../agent/http-json.ts';
import type { Identity } from '../../../protocol/generated/types.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import { AUTHORITY, createIssuer, type Issued } from '../../doubles/certificates.ts';
import { runCommand } from '../../doubles/command-in-process.ts';
import { type LiveBroker, openLiveBroker } from '../../doubles/live-broker.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';
import { type OidcProvider, startOidcProvider } from '../../servers/oidc-provider.ts';

const AUDIENCE = 'https://broker.example.org';
const crypto = createCrypto();

let provider: OidcProvider;
let broker: LiveBroker;
let pin: string;
let folder: string;
let jane: Issued;

beforeAll(async () => {
  provider = await startOidcProvider(['/atlas']);
  const oidc = {
    name: 'atlas',
    issuer: provider.issuer,
    audiences: [AUDIENCE],
    rules: [{ group: '/atlas', site: 'grid', tier: 'semi-trusted' as const }],
  };
  folder = await temporaryDirectory('ways');
  const issue = createIssuer(folder);
  const authority = issue({ subject: '/DC=org/CN=Authority', extensions: AUTHORITY });
  jane = issue({ subject: '/DC=org/CN=Jane', issuer: authority });
  const directory = join(folder, 'authorities');
  await mkdir(directory);
  await copyFile(authority.certificateFile, join(directory, 'authority.pem'));
  const x509 = {
    directory,
    proxies: 'none' as const,
    revocationLists: 'if-there' as const,
    rules: [{ subject: 'DC=org,CN=Jane', owner: 'jane', site: 'lab', tier: 'trusted' as const }],
  };
  broker = await openLiveBroker({ configuration: { enrolment: { oidc: [oidc], x509 } } });
  pin = (await runCommand(['agent', 'pin', '--data', broker.directory])).out.trim();
});

afterAll(async () => {
  await broker.close();
  await provider.stop();
  await removeDirectory(folder);
});

/** What an agent of new keys becomes that enrols with the token in a file. */
async function enrolled(token: string): Promise<Identity> {
  const oidcTokenFile = join(broker.directory, 'token');
  await writeFile(oidcTokenFile, `${token}\n`, { mode: 0o600 });
  return enrolledBy({ installation: pin, oidcTokenFile });
}

async function enrolledBy(given: WayArguments): Promise<Identity> {
  const keys = { signing: crypto.generate('ed25519'), session: crypto.generate('x25519') };
  const { signal } = new AbortController();
  const way = await chosenWay(given);
  const { identity } = await enrol(way, { keys, crypto, post: postJson, nowMs: () => Date.now(), signal });
  return JSON.parse(Buffer.from(identity.split('.')[1] ?? '', 'base64url').toString()) as Identity;
}

/** As the provider itself would sign it. */
async function signed(claims: object, header: object = {}): Promise<string> {
  const jwk = provider.key;
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ iss: provider.issuer, sub: 'jane', aud: AUDIENCE, iat: now, exp: now + 60, ...claims })
    .setProtectedHeader({ alg: 'ES256', kid: jwk.kid ?? '', ...header })
    .sign(await importJWK(jwk, 'ES256'));
}

it('a token of a real provider enrols its client, in the site and tier of its group', async () => {
  expect(await enrolled(await provider.token(AUDIENCE))).toMatchObject({
    owner: 'atlas.submitter',
    site: 'grid',
    tier: 'semi-trusted',
  });
});

it('a certificate of a trusted authority enrols who has its key, as the rule says; no job sees the files', async () => {
  const files = { certificateFile: jane.certificateFile, certificateKeyFile: jane.keyFile };
  const terms = { owner: 'jane', site: 'lab', tier: 'trusted' };
  expect(await enrolledBy({ installation: pin, ...files })).toMatchObject(terms);
  const proxyFile = join(folder, 'one-file.pem');
  await writeFile(proxyFile, jane.pem + jane.key, { mode: 0o600 });
  expect(await enrolledBy({ installation: pin, certificateFile: proxyFile })).toMatchObject(terms);
  expect(wayFiles({ ...files, oidcTokenFile: '/t', codeFile: '/c' })).toEqual([
    '/c',
    '/t',
    jane.certificateFile,
    jane.keyFile,
  ]);
});

it('a token for another audience, and an ID token, are refused; who holds them learns no more', async () => {
  const elsewhere = provider.token('https://storage.example.org');
  const id = signed({ nonce: 'n', 'wlcg.groups': ['/atlas'] }, { typ: 'JWT' });
  const texts = await Promise.all(
    [elsewhere, id].map(async (token) =>
      enrolled(await token).then(
        () => 'enrolled',
        (caught: unknown) => `${(caught as { code: string }).code} ${String(caught)}`,
      ),
    ),
  );
  expect(texts[0]).toMatch(/^ENROLMENT_REFUSED /);
  expect(texts[1]).toBe(texts[0]);
});

it('a provider that is away makes nobody wait whose key is known, and one-use codes go on', async () => {
  const token = await provider.token(AUDIENCE);
  const asked = provider.keyRequests();
  await provider.stop();
  try {
    expect(await enrolled(token)).toMatchObject({ owner: 'atlas.submitter' });
    await expect(enrolled(await signed({ scope: 'x' }, { kid: 'of-tomorrow' }))).rejects.toMatchObject({
      code: 'UNREACHABLE',
    });
    const way = await chosenWay({ code: await broker.newCode() });
    const keys = { signing: crypto.generate('ed25519'), session: crypto.generate('x25519') };
    const { signal } = new AbortController();
    const options = { keys, crypto, post: postJson, nowMs: () => Date.now(), signal };
    expect(await enrol(way, options)).toMatchObject({ installation: 'home' });
  } finally {
    await provider.start();
  }
  expect(provider.keyRequests()).toBe(asked);
});

it('an agent says in one way how it enrols, never with a token among its arguments', async () => {
  expect(environmentWay({ COPILOT_OIDC_TOKEN: 'a.b.c' })).toEqual({ oidcToken: 'a.b.c' });
  expect(environmentWay({ COPILOT_OIDC_TOKEN: '' })).toEqual({});
  await expect(chosenWay({ code: 'c', oidcTokenFile: '/t' })).rejects.toMatchObject({
    code: 'INVALID_REQUEST',
  });
  await expect(chosenWay({ oidcToken: 'a.b.c' })).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
  await expect(chosenWay({})).rejects.toMatchObject({ code: 'INVALID_CODE' });
  const missing = await chosenWay({ installation: pin, oidcTokenFile: '/nowhere/token' });
  const fields = { installation: 'home', challenge: 'c', sig: 's', kex: 'k' };
  await expect(missing.credential(fields)).rejects.toMatchObject({ code: 'ENROLMENT_REFUSED' });
  const none = await chosenWay({ installation: pin, oidcToken: 'no token' });
  await expect(none.credential(fields)).rejects.toMatchObject({ code: 'ENROLMENT_REFUSED' });
});
