import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { createConnection } from 'mariadb';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { FrameworkProgram, OptionValue } from '../../../adapters/jobs/kit/framework-kind.ts';
import { inquire } from '../../../adapters/jobs/kit/inquire.ts';
import { enrol } from '../../../agent/enrol.ts';
import { codeWay, type EnrolmentWay } from '../../../agent/enrolment-way.ts';
import { postJson } from '../../../agent/http-json.ts';
import {
  createMariadbBoincProject,
  type MariadbPlace,
} from '../../../broker/enrolment/boinc/mariadb-boinc-project.ts';
import { CMS_AT_HOME } from '../../../cli/cms-at-home.ts';
import { toldAccount } from '../../../agent/vm/told-account.ts';
import { decodeEnrolmentCode } from '../../../protocol/enrolment.ts';
import type { Identity } from '../../../protocol/generated/types.ts';
import { createLog } from '../../../protocol/runtime/log.ts';
import { storeKey } from '../../../protocol/runtime/key-file.ts';
import { createCrypto, nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import { boincProjectConformance } from '../../conformance/boinc-project.ts';
import { BOINC_ROWS, boincStatements } from '../../doubles/boinc-tables.ts';
import { AUTHORITY, createIssuer, type Issued } from '../../doubles/certificates.ts';
import { runCommand } from '../../doubles/command-in-process.ts';
import { type FaultProxy, openFaultProxy } from '../../doubles/fault-proxy.ts';
import { freePort } from '../../doubles/free-port.ts';
import { type LiveBroker, openLiveBroker } from '../../doubles/live-broker.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';
import { vmLines } from '../../doubles/vm-context.ts';
import { needlesOf } from '../../e2e/needles.ts';
import { type MariadbServer, startMariadb } from '../../servers/mariadb.ts';
import { type DataBridgeClient, type DataBridgePlace, dataBridgeClient } from './data-bridge-client.ts';
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
  broker = await openLiveBroker({
    configuration: { enrolment: { oidc: [], boinc: { ...terms, place: place() } } },
  });
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

describe('old clients of CMS@home, whose accounts are in that database', () => {
  const JOB = '3f2504e0-4f89-11d3-9a0c-0305e82c3301';
  const VOLUNTEER = { user: 4711, authenticator };
  const OTHER = { user: 4712, authenticator: BOINC_ROWS.users.get(4712)!.authenticator };
  let own: string;
  let port: number;
  let certificates: { readonly ca: Issued; readonly server: Issued; readonly producer: Issued };
  let running: FrameworkProgram | undefined;

  beforeAll(async () => {
    if (server === undefined) return;
    own = join(directory, 'cms-at-home');
    await mkdir(own, { mode: 0o700 });
    const issue = createIssuer(own);
    const ca = issue({ subject: '/CN=authority', extensions: AUTHORITY });
    certificates = {
      ca,
      server: issue({ subject: '/CN=data-bridge', issuer: ca, extensions: ['subjectAltName=IP:127.0.0.1'] }),
      producer: issue({ subject: '/CN=producer.example.org', issuer: ca }),
    };
    await writeFile(join(own, 'password'), `${PASSWORD}\n`, { mode: 0o600 });
    port = await freePort();
  });
  afterEach(async () => {
    await running?.stop();
    running = undefined;
  });

  async function start(change: Readonly<Record<string, OptionValue>> = {}): Promise<void> {
    const { certificateFile, keyFile } = certificates.server;
    const accounts = {
      boincUrl: `mariadb://co-pilot@127.0.0.1:${proxy.port}/lhcathome`,
      boincPasswordFile: join(own, 'password'),
      boincCaFile: server?.caFile ?? '',
    };
    const framework = {
      ...{ kind: 'cms-at-home', url: `https://127.0.0.1:${port}`, queues: { cms: 'jobs' }, attempts: 1 },
      credential: { certificateFile, keyFile, caFile: certificates.ca.certificateFile },
      options: { port, servesVolunteers: true, producers: ['producer.example.org'], ...accounts, ...change },
    };
    running = await CMS_AT_HOME.startAdapter({
      directory: own,
      log,
      configuration: {
        ...{ installation: 'home', name: 'cms', keyId: 3, brokers: [], busUrls: [], busSecret: 'none' },
        key: storeKey(crypto, crypto.generate('x25519')),
        bridge: { url: 'http://127.0.0.1:1', token: 'operator-token-of-the-test' },
        framework,
      },
    });
  }
  const client = (place: Partial<DataBridgePlace> = {}): DataBridgeClient =>
    dataBridgeClient({ port, ca: certificates.ca.pem, ...place });
  const volunteer = (account = VOLUNTEER): DataBridgeClient => client({ account });
  const producer = (): DataBridgeClient => {
    const { pem: cert, key } = certificates.producer;
    return client({ certificate: { cert, key } });
  };
  const put = async (job: string): Promise<void> => {
    const to = producer();
    expect([(await to.putInput(job, '#!/bin/sh\n')).status, (await to.putJob(job)).status]).toEqual([
      201, 200,
    ]);
  };
  const stopped = async (change: (queue: DatabaseSync) => void): Promise<void> => {
    await running?.stop();
    const queue = new DatabaseSync(join(own, 'cms-at-home.sqlite'));
    change(queue);
    queue.close();
    await start();
  };

  it('take a job with their account, bring its output, and the producer has it', async () => {
    await start();
    await put(JOB);
    expect(await volunteer().getJob()).toEqual({ status: 200, type: 'application/json', text: `${JOB}\n` });
    expect((await volunteer().input(JOB)).text).toBe('#!/bin/sh\n');
    expect((await volunteer().putOutput(JOB, 'archive')).status).toBe(201);
    expect(await volunteer().putJobOut(JOB)).toMatchObject({ status: 200, text: '' });
    expect(await producer().getJobOut()).toMatchObject({ status: 200, text: `${JOB}\n` });
    expect(await producer().output(JOB)).toMatchObject({ status: 200, text: 'archive' });
    expect((await volunteer().getJob()).status).toBe(404);
  });

  it('that die do not take their job along: it is given to another one after its lease, and their late output is refused', async () => {
    await start();
    await put('left-behind');
    expect((await volunteer().getJob()).text).toBe('left-behind\n');
    await stopped(() => undefined);
    expect((await volunteer(OTHER).getJob()).status).toBe(404);
    // As a day later.
    await stopped((queue) => queue.exec("UPDATE job SET until_ms = 1 WHERE state = 'held'"));
    expect((await volunteer(OTHER).getJob()).text).toBe('left-behind\n');
    expect((await volunteer().putOutput('left-behind', 'late')).status).toBe(403);
    expect((await volunteer(OTHER).putOutput('left-behind', 'archive')).status).toBe(201);
    await volunteer(OTHER).putJobOut('left-behind');
    expect((await producer().getJobOut()).text).toBe('left-behind\n');
  });

  it('are known by the authenticator of that user alone, and no producer by one', async () => {
    await start();
    await put('guarded');
    const wrong = [
      { user: 4712, authenticator },
      { user: 4711, authenticator: 'e'.repeat(32) },
      { user: 4713, authenticator: BOINC_ROWS.users.get(4713)!.authenticator },
      { user: 4715, authenticator: '4715_d41d8cd98f00b204e9800998ecf8427e' },
      { user: 9, authenticator: "' OR 1=1 -- " },
    ];
    for (const account of wrong)
      expect([account.user, (await volunteer(account).getJob()).status]).toEqual([account.user, 401]);
    expect((await client().getJob()).status).toBe(401);
    expect((await volunteer().queryJob()).status).toBe(403);
    const { pem: cert, key } = certificates.server;
    expect((await client({ certificate: { cert, key } }).putJob('forged')).status).toBe(403);
    expect((await producer().queryJob()).text).toBe('size: 1\n');
  });

  it('that guess are told nothing more after some twenty guesses at a user, and others are served meanwhile', async () => {
    await start();
    const guess = { user: 4711, authenticator: 'f'.repeat(32) };
    const statuses = [];
    for (let times = 0; times < 25; times++) statuses.push((await volunteer(guess).getJob()).status);
    expect(statuses.slice(0, 20)).toEqual(Array.from({ length: 20 }, () => 401));
    expect(statuses.at(-1)).toBe(503);
    expect((await volunteer(OTHER).getJob()).status).toBe(200);
  });

  it('are told to come again while the accounts cannot be read, and no job is given away', async () => {
    await start();
    proxy.cutAll();
    proxy.target(1);
    expect((await volunteer().getJob()).status).toBe(503);
    proxy.target(server!.port);
    expect((await producer().queryJob()).status).toBe(200);
  });

  it('are served where that is switched on, by a password of the database that is its owner’s alone', async () => {
    await start({ servesVolunteers: false });
    expect((await volunteer().getJob()).status).toBe(404);
    await running?.stop();
    await chmod(join(own, 'password'), 0o644);
    await expect(start()).rejects.toMatchObject({ code: 'INVALID_CONFIGURATION' });
    await chmod(join(own, 'password'), 0o600);
  });

  it('are what doctor asks about: whether their accounts can be read', async () => {
    const settings = {
      ...{ kind: 'cms-at-home', url: `https://127.0.0.1:${port}`, queues: { cms: 'jobs' }, attempts: 1 },
      credential: {},
      options: {
        servesVolunteers: true,
        boincUrl: `mariadb://co-pilot@127.0.0.1:${proxy.port}/lhcathome`,
        boincPasswordFile: join(own, 'password'),
        boincCaFile: server?.caFile ?? '',
      },
    };
    const asked = { name: 'cms', kind: CMS_AT_HOME, clock: nodeClock, log };
    expect((await inquire({ ...asked, settings })).answer).toMatchObject({
      kind: 'said',
      words: expect.stringContaining('accounts can be read'),
    });
    const elsewhere = { ...settings.options, boincUrl: 'mariadb://co-pilot@127.0.0.1:1/lhcathome' };
    expect((await inquire({ ...asked, settings: { ...settings, options: elsewhere } })).answer.kind).toBe(
      'fault',
    );
  });
});

it('I10 no authenticator and no password of the database is in a log or a file of the broker', async () => {
  const folders = [broker!.directory, join(directory, 'cms-at-home')];
  const listed = await Promise.all(
    folders.map((folder) => readdir(folder, { recursive: true, withFileTypes: true })),
  );
  const files = listed.flat().filter(({ name }) => name !== 'password');
  const bytes = await Promise.all(
    files.filter((file) => file.isFile()).map((file) => readFile(join(file.parentPath, file.name))),
  );
  const all = Buffer.concat([...bytes, Buffer.from(logged)]);
  expect(logged).toContain('did not answer');
  for (const secret of [authenticator, PASSWORD])
    for (const needle of needlesOf(Buffer.from(secret))) expect(all.includes(needle)).toBe(false);
});
