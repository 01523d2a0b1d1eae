import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createConnection } from 'mariadb';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { enrol } from '../../../agent/enrol.ts';
import { codeWay, type EnrolmentWay } from '../../../agent/enrolment-way.ts';
import { postJson } from '../../../agent/http-json.ts';
import {
  createMariadbBoincProject,
  type MariadbPlace,
} from '../../../broker/enrolment/boinc/mariadb-boinc-project.ts';
import { toldAccount } from '../../../agent/vm/told-account.ts';
import { decodeEnrolmentCode } from '../../../protocol/enrolment.ts';
import type { Identity } from '../../../protocol/generated/types.ts';
import { createLog } from '../../../protocol/runtime/log.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import { boincProjectConformance } from '../../conformance/boinc-project.ts';
import { BOINC_ROWS, boincStatements } from '../../doubles/boinc-tables.ts';
import { runCommand } from '../../doubles/command-in-process.ts';
import { type FaultProxy, openFaultProxy } from '../../doubles/fault-proxy.ts';
import { type LiveBroker, openLiveBroker } from '../../doubles/live-broker.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';
import { vmLines } from '../../doubles/vm-context.ts';
import { needlesOf } from '../../e2e/needles.ts';
import { type MariadbServer, startMariadb } from '../../servers/mariadb.ts';
import { fenced, page } from '../../unit/docs/pages.ts';

const PASSWORD = 'a-password-of-the-database';
const { authenticator } = BOINC_ROWS.users.get(4711)!;
const crypto = createCrypto();

let directory: string;
let server: MariadbServer | undefined;
let proxy: FaultProxy;
let broker: LiveBroker | undefined;
let pin: string;
let whyNot: string | undefined;
let logged = '';

const log = createLog('broker', { level: 'debug', destination: { write: (line) => void (logged += line) } });
const place = (change: Partial<MariadbPlace> = {}): MariadbPlace => ({
  url: `mariadb://co-pilot@127.0.0.1:${proxy.port}/lhcathome`,
  password: PASSWORD,
  caFile: server?.caFile ?? '',
  ...change,
});
const project = (change: Partial<MariadbPlace> = {}, patienceMs = 3_000) =>
  createMariadbBoincProject({ place: place(change), log, patienceMs });

/** As the page tells a project's administrator, in one database. */
function toldStatements(): readonly string[] {
  const [told = ''] = fenced(page('docs/boinc.md'), 'sql');
  const here = told.replaceAll('broker.example.org', '127.0.0.1').replaceAll("'PASSWORD'", `'${PASSWORD}'`);
  return here.split(/;\n/).filter((statement) => statement.trim() !== '');
}

beforeAll(async () => {
  directory = await temporaryDirectory('mariadb');
  proxy = await openFaultProxy();
  try {
    server = await startMariadb(directory);
  } catch (caught) {
    whyNot = String(caught);
    if (!whyNot.includes('is not installed')) throw caught;
    return;
  }
  proxy.target(server.port);
  const tables = boincStatements(BOINC_ROWS).map((text) =>
    text.replace(/^(CREATE TABLE|INSERT INTO|ALTER TABLE) /, '$1 lhcathome.'),
  );
  await server.run('CREATE DATABASE lhcathome', ...tables, ...toldStatements());
  const terms = { project: 'lhcathome', site: 'home', tier: 'untrusted' as const, requireHost: true };
  broker = await openLiveBroker({ enrolment: { oidc: [], boinc: { ...terms, place: place() } } });
  pin = (await runCommand(['agent', 'pin', '--data', broker.directory])).out.trim();
});
afterAll(async () => {
  await broker?.close();
  await proxy.close();
  await server?.stop();
  await removeDirectory(directory);
});
beforeEach((context) => {
  if (whyNot === undefined) return;
  if (process.env['CI'] === 'true') throw new Error(whyNot);
  context.skip(whyNot);
});

async function enrolled(way: EnrolmentWay): Promise<Identity> {
  const keys = { signing: crypto.generate('ed25519'), session: crypto.generate('x25519') };
  const { signal } = new AbortController();
  const { identity } = await enrol(way, { keys, crypto, post: postJson, nowMs: () => Date.now(), signal });
  return JSON.parse(Buffer.from(identity.split('.')[1] ?? '', 'base64url').toString()) as Identity;
}

/** As a virtual machine enrols that was told of the account. */
async function joined(account: {
  readonly user: number;
  readonly authenticator: string;
  readonly host?: number;
}) {
  const file = join(directory, 'context');
  await writeFile(file, vmLines(account));
  return enrolled(await (await toldAccount({ context: `file:${file}`, installation: pin }, {})).way());
}

const asText = (outcome: Promise<unknown>): Promise<string> =>
  outcome.then(
    () => 'enrolled',
    (caught: unknown) => `${(caught as { code: string }).code} ${String(caught)}`,
  );

describe('a BOINC project in MariaDB, read through the views of docs/boinc.md', () => {
  boincProjectConformance(() => project());
});

it('a volunteer\u2019s machine enrols with its account; who guesses learns nothing', async () => {
  expect(await joined({ user: 4711, authenticator, host: 91 })).toMatchObject({
    owner: 'boinc.lhcathome.4711',
    site: 'home',
    tier: 'untrusted',
  });
  const guesses = [
    { user: 4711, authenticator: 'e'.repeat(32), host: 90 },
    { user: 1, authenticator: 'e'.repeat(32), host: 90 },
    { user: 4713, authenticator: BOINC_ROWS.users.get(4713)!.authenticator, host: 90 },
    { user: 4711, authenticator, host: 93 },
    { user: 4711, authenticator },
  ];
  const answers = new Set<string>();
  for (const guess of guesses) answers.add(await asText(joined(guess)));
  expect([...answers]).toEqual([expect.stringMatching(/^ENROLMENT_REFUSED /)]);
});

it('whoever has the password of the views reads digests, and neither what makes them nor who users are; it writes nothing', async () => {
  const connection = await createConnection({
    host: '127.0.0.1',
    port: server!.port,
    user: 'co-pilot',
    password: PASSWORD,
    database: 'lhcathome',
    ssl: { rejectUnauthorized: false },
  });
  for (const statement of [
    'SELECT authenticator FROM user',
    'SELECT email_addr FROM user WHERE id = 4711',
    'SELECT * FROM host',
    'SELECT * FROM forum_preferences',
    'SELECT authenticator FROM co_pilot_user',
    'UPDATE co_pilot_user SET banished_until = 0',
    'DELETE FROM co_pilot_host',
    'SHOW CREATE VIEW co_pilot_user',
    'SELECT * FROM mysql.user',
    'CREATE TABLE x (id int)',
  ])
    await expect(connection.query(statement), statement).rejects.toThrow(/denied|Unknown column/);
  await connection.end();
});

it('without TLS, with another authority or another password it is not asked', async () => {
  const plain = { url: place().url, password: PASSWORD };
  await expect(createMariadbBoincProject({ place: plain, log }).user(4711)).rejects.toMatchObject({
    code: 'ENROLMENT_UNAVAILABLE',
  });
  for (const change of [
    { caFile: join(directory, 'nothing.pem') },
    { password: 'another-password-than-it' },
    { url: `mariadb://co-pilot@localhost:${proxy.port}/lhcathome` },
  ])
    await expect(project(change).user(4711)).rejects.toMatchObject({ code: 'ENROLMENT_UNAVAILABLE' });
});

it('while the database is away or silent machines are told to try again, and codes go on', async () => {
  proxy.stall(true);
  const startedMs = performance.now();
  const silent = project({}, 100);
  await expect(silent.user(4711)).rejects.toMatchObject({ code: 'ENROLMENT_UNAVAILABLE' });
  const many = await Promise.allSettled(Array.from({ length: 100 }, () => silent.user(4711)));
  expect(new Set(many.map(({ status }) => status))).toEqual(new Set(['rejected']));
  expect(performance.now() - startedMs).toBeLessThan(15_000);
  proxy.stall(false);
  proxy.cutAll();
  proxy.target(1);
  expect(await asText(joined({ user: 4711, authenticator, host: 90 }))).toMatch(/^UNREACHABLE .*503/);
  const code = codeWay(decodeEnrolmentCode(await broker!.newCode()));
  expect(await enrolled(code)).toMatchObject({ owner: 'somebody' });
  proxy.target(server!.port);
  expect(await joined({ user: 4711, authenticator, host: 90 })).toMatchObject({ site: 'home' });
});

it('I10 no authenticator and no password of the database is in a log or a file of the broker', async () => {
  const files = await readdir(broker!.directory, { recursive: true, withFileTypes: true });
  const bytes = await Promise.all(
    files.filter((file) => file.isFile()).map((file) => readFile(join(file.parentPath, file.name))),
  );
  const all = Buffer.concat([...bytes, Buffer.from(logged)]);
  expect(logged).toContain('did not answer');
  for (const secret of [authenticator, PASSWORD])
    for (const needle of needlesOf(Buffer.from(secret))) expect(all.includes(needle)).toBe(false);
});
