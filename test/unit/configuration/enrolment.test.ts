import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { checkConfiguration, problemText } from '../../../cli/configuration/load.ts';
import { openInstallation } from '../../../cli/installation.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

let directory: string;
beforeEach(async () => {
  directory = await temporaryDirectory('enrolment');
});
afterEach(() => removeDirectory(directory));

function set(yaml: string): Promise<void> {
  return writeFile(join(directory, 'co-pilot.yaml'), yaml, { mode: 0o600 });
}

async function problems(yaml: string): Promise<readonly string[]> {
  await set(yaml);
  const checked = await checkConfiguration({ directory, environment: {} });
  return checked.kind === 'problems' ? checked.problems.map((problem) => problemText(problem)) : [];
}

const provider = (change: object = {}) => ({
  name: 'atlas',
  issuer: 'https://atlas.example.org/',
  audiences: ['https://broker.example.org'],
  rules: [{ group: '/atlas', site: 'grid', tier: 'untrusted' }],
  ...change,
});
const oidc = (...providers: readonly object[]) => JSON.stringify({ enrolment: { oidc: providers } });

it('providers reach the broker as they are written, and none is there unless one is', async () => {
  await set(oidc(provider()));
  const { broker } = (await openInstallation({ directory })).configurations;
  expect(broker.enrolment?.oidc).toEqual([provider()]);
  await set('');
  expect((await openInstallation({ directory })).configurations.broker.enrolment?.oidc).toEqual([]);
});

it.each<[string, readonly object[], RegExp]>([
  [
    'two of one name',
    [provider(), provider({ issuer: 'https://lhcb.example.org' })],
    /oidc\[1\]\.name: is taken/,
  ],
  ['one named like another way to enrol', [provider({ name: 'boinc' })], /oidc\[0\]\.name: is taken/],
  ['two of one issuer', [provider(), provider({ name: 'lhcb' })], /oidc\[1\]\.issuer: is that of another/],
  ['one without TLS', [provider({ issuer: 'http://atlas.example.org' })], /oidc\[0\]\.issuer: .*https/],
  ['a name with a dot', [provider({ name: 'a.b' })], /oidc\[0\]\.name/],
  ['no audience', [provider({ audiences: [] })], /oidc\[0\]\.audiences/],
  ['no rule', [provider({ rules: [] })], /oidc\[0\]\.rules/],
  [
    'a tier that is none',
    [provider({ rules: [{ site: 'grid', tier: 'root' }] })],
    /oidc\[0\]\.rules\[0\]\.tier/,
  ],
  ['a key that is none', [provider({ isuer: 'x' })], /isuer/],
])('%s: refused where it stands', async (_what, providers, expected) => {
  expect((await problems(oidc(...providers))).join('\n')).toMatch(expected);
});

it('a BOINC project reaches the broker with the password that lies elsewhere, and is not there unless it is set', async () => {
  const password = join(directory, 'password');
  await writeFile(password, 'a-password-of-the-database\n', { mode: 0o600 });
  const url = 'mariadb://co-pilot@db.example.org/lhcathome';
  await set(`
enrolment: { boinc: { project: lhcathome, database: '${url}', tier: semi-trusted } }
secrets: { boincPassword: { file: ${password} } }
`);
  const { broker } = (await openInstallation({ directory })).configurations;
  expect(broker.enrolment?.boinc).toEqual({
    project: 'lhcathome',
    site: 'home',
    tier: 'semi-trusted',
    requireHost: true,
    place: { url, password: 'a-password-of-the-database' },
  });
  await set('');
  expect((await openInstallation({ directory })).configurations.broker.enrolment?.boinc).toBeUndefined();
});

it.each([
  ['no database', { project: 'lhcathome' }, /boinc\.database: is needed/],
  ['no name', { database: 'mariadb://co-pilot@127.0.0.1/lhcathome' }, /boinc\.project: is needed/],
  ['a dot in its name', { project: 'a.b', database: 'mariadb://c@127.0.0.1/l' }, /boinc\.project/],
  [
    'a password in its address',
    { project: 'a', database: 'mariadb://c:secret@127.0.0.1/l' },
    /boinc\.database/,
  ],
  ['another kind of database', { project: 'a', database: 'postgres://c@127.0.0.1/l' }, /boinc\.database/],
])('a BOINC project with %s is refused where it stands', async (_what, boinc, expected) => {
  expect((await problems(JSON.stringify({ enrolment: { boinc } }))).join('\n')).toMatch(expected);
});

it('TLS takes both files', async () => {
  expect(await problems('enrolment: { tls: { certificate: /etc/tls.pem } }\n')).toEqual([
    expect.stringContaining('enrolment.tls.key: is needed'),
  ]);
  await set('enrolment: { tls: { certificate: /etc/tls.pem, key: /etc/tls.key } }\n');
  const { broker } = (await openInstallation({ directory })).configurations;
  expect(broker.enrolment?.tls).toEqual({ certificate: '/etc/tls.pem', key: '/etc/tls.key' });
});

it('certificates take a directory and rules; revocation lists are needed and proxies refused unless it is said', async () => {
  expect(await problems('enrolment: { x509: { directory: /etc/authorities } }\n')).toEqual([
    expect.stringContaining('enrolment.x509.rules: is needed'),
  ]);
  const rules = [{ subject: 'DC=org,*', site: 'grid', tier: 'untrusted' }];
  await set(JSON.stringify({ enrolment: { x509: { directory: '/etc/authorities', rules } } }));
  const { broker } = (await openInstallation({ directory })).configurations;
  const defaults = { proxies: 'none', revocationLists: 'required' };
  expect(broker.enrolment?.x509).toEqual({ directory: '/etc/authorities', rules, ...defaults });
  await set('');
  expect((await openInstallation({ directory })).configurations.broker.enrolment).toEqual({
    oidc: [],
    agentsPerOwner: 1000,
  });
});
