import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { holdFolder, LOCK_FILE } from '../../../adapters/jobs/kit/held-folder.ts';
import { ofAdaptersAlone } from '../../../cli/doctor/adapters-alone.ts';
import type { Settings } from '../../../cli/configuration/settings.ts';
import type { Finding } from '../../../cli/doctor/finding.ts';
import { checkFrameworks } from '../../../cli/doctor/frameworks.ts';
import { checkBrokerTime, judgeTime, timeAt } from '../../../cli/doctor/server-clock.ts';
import { nodeClock, nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import { startAlienDouble } from '../../doubles/alien/alien-double.ts';
import { createIssuer } from '../../doubles/certificates.ts';
import { startCrabDouble } from '../../doubles/crab/crab-double.ts';
import { type HttpQueueServer, startHttpQueue } from '../../doubles/http-queue/server.ts';
import { startJalienDouble } from '../../doubles/jalien/jalien-double.ts';
import { startPanda } from '../../doubles/panda/panda-server.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const TOKEN = 'canary-token-of-the-queue';
let directory: string;
let queue: HttpQueueServer;
beforeEach(async () => {
  directory = await temporaryDirectory('doctor-frameworks');
  queue = await startHttpQueue({ clock: nodeClock, token: TOKEN });
});
afterEach(async () => {
  await queue.close();
  await removeDirectory(directory);
});

type Entry = Settings['frameworks'][string];
const settingsWith = (entry: Partial<Entry>): Pick<Settings, 'frameworks'> => ({
  frameworks: { q: { kind: 'http-queue', url: queue.url, queues: { main: 'night' }, ...entry } },
});
const check = (entry: Partial<Entry>): Promise<readonly Finding[]> =>
  checkFrameworks(directory, settingsWith(entry));
const about = (findings: readonly Finding[], what: string): readonly Finding[] =>
  findings.filter((finding) => finding.what === what);
const file = async (name: string, text: string, mode = 0o600): Promise<string> => {
  const path = join(directory, name);
  await writeFile(path, text);
  await chmod(path, mode);
  return path;
};
const token = (text = TOKEN): Promise<string> => file('token', text);
const tokenUntil = (seconds: number): string =>
  `eyJhbGciOiJub25lIn0.${Buffer.from(JSON.stringify({ exp: seconds })).toString('base64url')}.x`;

describe('of a framework that is well', () => {
  it('everything is said to be, by the framework itself', async () => {
    const folder = join(directory, 'frameworks/q');
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFile(join(folder, 'config.json'), '{}', { mode: 0o600 });
    const release = holdFolder(join(folder, LOCK_FILE));
    const ceilingFile = await file('ceiling.json', '{"jobs":5}');
    const findings = await check({ tokenFile: await token(), ceilingFile });
    release();
    expect(findings.map(({ what, status }) => [what, status])).toEqual([
      ['framework q', 'ok'],
      ['credential of q', 'ok'],
      ['ceiling of q', 'ok'],
      ['server of q', 'ok'],
      [`clock against ${new URL(queue.url).host}`, 'ok'],
    ]);
    expect(about(findings, 'server of q')[0]?.detail).toBe(
      `${queue.url} lets us in; jobs that wait: 0 in night`,
    );
    expect(JSON.stringify(findings)).not.toContain(TOKEN);
    expect([...queue.requests.keys()]).toEqual(['/v1/held']);
  });

  it('one that does not run, or has no part yet, is a warning with the command', async () => {
    expect(about(await check({ tokenFile: await token() }), 'framework q')).toMatchObject([
      { status: 'warning', next: 'co-pilot up makes it' },
    ]);
    const folder = join(directory, 'frameworks/q');
    await mkdir(folder, { recursive: true });
    await chmod(folder, 0o755);
    await writeFile(join(folder, 'config.json'), '{}', { mode: 0o644 });
    await chmod(join(folder, 'config.json'), 0o644);
    await writeFile(join(folder, 'tasks.sqlite'), 'no database at all '.repeat(300), { mode: 0o600 });
    const findings = await check({ tokenFile: await token() });
    expect(about(findings, 'tasks.sqlite')).toMatchObject([
      { status: 'problem', next: expect.stringContaining('restore a backup') },
    ]);
    expect(about(findings, 'framework q')).toMatchObject([
      { status: 'warning', next: expect.stringContaining('--role q') },
    ]);
    expect(about(findings, 'permissions').map(({ next }) => next)).toEqual([
      `chmod 700 ${folder}`,
      `chmod 600 ${join(folder, 'config.json')}`,
    ]);
  });
});

it('an adapter that the broker hears and that does not run here has its files elsewhere', async () => {
  const settings = settingsWith({ tokenFile: '/etc/co-pilot/of-another-host' });
  const findings = await checkFrameworks(directory, settings, (name) => name === 'q');
  expect(findings).toMatchObject([{ status: 'ok', detail: expect.stringContaining('another host') }]);
});

it('a host with adapters alone is looked at as such', async () => {
  const tokenFile = await token();
  const entry = { kind: 'http-queue', url: queue.url, queues: { main: 'night' }, tokenFile };
  const yaml = {
    frameworks: { q: entry, elsewhere: { ...entry, queues: { demo: 'x' } } },
    queues: { main: { jobAdapter: 'q' }, demo: { jobAdapter: 'elsewhere' } },
  };
  await writeFile(join(directory, 'co-pilot.yaml'), JSON.stringify(yaml), { mode: 0o600 });
  await mkdir(join(directory, 'frameworks/q'), { recursive: true, mode: 0o700 });
  await writeFile(join(directory, 'frameworks/q/config.json'), '{}', { mode: 0o600 });
  const findings = (await ofAdaptersAlone(directory)) ?? [];
  expect(about(findings, 'server of q')).toMatchObject([{ status: 'ok' }]);
  expect(findings.filter(({ what }) => what.includes('elsewhere'))).toEqual([]);
  await rm(join(directory, 'frameworks'), { recursive: true });
  expect(await ofAdaptersAlone(directory)).toBeUndefined();
});

describe('of a credential', () => {
  const credential = async (entry: Partial<Entry>): Promise<Finding> =>
    about(await check(entry), 'credential of q')[0]!;

  it('each fault is told with what to do, and the server is not asked with it', async () => {
    expect(await credential({ tokenFile: join(directory, 'nowhere') })).toMatchObject({
      status: 'problem',
      detail: expect.stringContaining('is not there'),
      next: expect.stringContaining('frameworks.q.tokenFile'),
    });
    const open = await file('open', TOKEN, 0o644);
    expect(await credential({ tokenFile: open })).toMatchObject({
      status: 'problem',
      detail: expect.stringContaining('644'),
      next: expect.stringContaining(`chmod 600 ${open}`),
    });
    expect(await credential({ tokenFile: directory })).toMatchObject({
      detail: expect.stringContaining('is no file'),
    });
    expect(await credential({ tokenFile: await token('two words') })).toMatchObject({ status: 'problem' });
    expect(await credential({ caFile: join(directory, 'ca') })).toMatchObject({ status: 'problem' });
    expect(queue.requests.size).toBe(0);
    expect(await credential({})).toMatchObject({ status: 'ok' });
  });

  it('one that has ended is a problem, one that is about to a warning', async () => {
    const nowSeconds = Math.floor(nodeClock.wallMs() / 1000);
    const ending = async (seconds: number): Promise<Finding['status']> =>
      (await credential({ tokenFile: await token(tokenUntil(nowSeconds + seconds)) })).status;
    expect(await ending(-1)).toBe('problem');
    expect(await ending(1800)).toBe('warning');
    expect(await ending(86_400)).toBe('ok');
  });

  it('a key that is another certificate’s is one, and no secret of it is shown', async () => {
    const issue = createIssuer(directory);
    const [one, other] = [issue({ subject: '/CN=one' }), issue({ subject: '/CN=other' })];
    const keyFile = await file('key', other.key);
    const wrong = await credential({ certificateFile: one.certificateFile, keyFile });
    expect(wrong).toMatchObject({
      status: 'problem',
      detail: expect.stringContaining('not that of the certificate'),
    });
    await writeFile(keyFile, one.key);
    expect(await credential({ certificateFile: one.certificateFile, keyFile })).toMatchObject({
      detail: expect.stringContaining('ends'),
    });
  });
});

describe('of a server', () => {
  const server = async (entry: Partial<Entry>): Promise<Finding> =>
    about(await check(entry), 'server of q')[0]!;

  it('that lets nobody in with this credential, is away, or has wrong options, is told apart', async () => {
    expect(await server({ tokenFile: await token('another-token') })).toMatchObject({
      status: 'problem',
      detail: expect.stringContaining('401'),
      next: expect.stringContaining('lets this credential in'),
    });
    expect(await server({ url: 'http://127.0.0.1:1', tokenFile: await token() })).toMatchObject({
      status: 'problem',
      detail: expect.stringContaining('ECONNREFUSED'),
      next: expect.stringContaining('reached from here'),
    });
    expect(await server({ kind: 'panda', options: { nonsense: 1 } })).toMatchObject({
      status: 'problem',
      next: expect.stringContaining('frameworks.q'),
    });
    expect(await server({ kind: 'no-such-kind' })).toMatchObject({ status: 'problem' });
  });

  it('the ceiling is looked at too', async () => {
    const findings = await check({ ceilingFile: await file('ceiling.json', '{"job":1}') });
    expect(about(findings, 'ceiling of q')).toMatchObject([
      { status: 'problem', detail: expect.stringContaining('no key of it') },
    ]);
  });

  it('each kind is asked in its own words: CRAB for the tasks of its worker', async () => {
    const crab = await startCrabDouble({ authentication: { anyone: 'alice', operators: [] } });
    const wrapperFile = await file('wrapper.tgz', 'x');
    const options = { wrapperFile, cmsSite: 'T3_CH_Volunteer' };
    const finding = await server({ kind: 'crab', url: crab.url, queues: { main: 'co-pilot' }, options });
    await crab.stop();
    expect(finding).toMatchObject({ status: 'ok', detail: expect.stringContaining('has submitted: 0') });
  });

  it('PanDA for our role, without which no job could ever be reported on', async () => {
    const panda = await startPanda();
    const asked = async (role: string, api = 'v1'): Promise<Finding> => {
      const tokenFile = await token(panda.token({ role, name: 'Ann' }));
      const options = { origin: `atlas.${role}`, api };
      return server({ kind: 'panda', url: panda.url, queues: { main: 'SITE' }, tokenFile, options });
    };
    const [production, user, legacy] = [
      await asked('production'),
      await asked('users'),
      await asked('production', 'legacy'),
    ];
    const took =
      panda.requests('acquire_jobs') + panda.requests('getJob') + panda.requests('update_jobs_bulk');
    await panda.close();
    expect(production).toMatchObject({
      status: 'ok',
      detail: expect.stringContaining('with the production role'),
    });
    expect(user).toMatchObject({
      status: 'problem',
      next: expect.stringContaining('have the credential admitted'),
    });
    expect(legacy.detail).toContain('does not say who we are');
    expect(took).toBe(0);
  });

  it('AliEn at each of its services, and JAliEn for our name; no job is taken for that', async () => {
    const own = { clock: nodeClock, random: nodeRandom };
    const [alien, jalien] = [await startAlienDouble(own), await startJalienDouble(own)];
    const options = { user: 'vol', jalien: jalien.url, broker: alien.url };
    const entry = { kind: 'alien', url: alien.url, queues: { main: 'ALICE::CERN::VOL' }, options };
    const finding = await server(entry);
    const [calls, commands] = [alien.calls.length, jalien.commands.map(({ command }) => command)];
    await jalien.stop();
    const without = await server(entry);
    await alien.stop();
    expect(finding).toMatchObject({
      status: 'ok',
      detail: expect.stringMatching(/at 2 addresses, and JAliEn knows us as vol$/),
    });
    expect([calls, commands]).toEqual([0, ['whoami']]);
    expect(without.status).toBe('problem');
  });

  it('whose words would move a cursor is written down without that', async () => {
    const hostile = createServer(
      (_, response) => void response.writeHead(200).end('{"success":false,"message":"\u001b[2Jgone"}'),
    );
    const url = await listening(hostile);
    const finding = await server({ kind: 'panda', url, queues: { main: 'SITE' } });
    await closed(hostile);
    expect(finding.status).toBe('problem');
    expect(finding.detail).not.toMatch(/\u001b/);
  });
});

describe('the clock, held against what a server says', () => {
  const atMs = Date.UTC(2031, 0, 1);
  it.each([
    ['a moment before', 500, 'ok', /agrees/],
    ['a minute behind', 60_000, 'ok', /60 s behind/],
    ['over a minute behind', 61_500, 'problem', /61 s behind/],
    ['over a minute ahead', -70_000, 'problem', /s ahead of/],
    ['a minute ahead', -60_500, 'ok', /s ahead of/],
  ])('%s', (_name, difference, status, detail) => {
    const said = { host: 'panda.example.org', dateMs: atMs + difference, askedMs: atMs, heardMs: atMs + 500 };
    expect(judgeTime(said)).toMatchObject({ status, detail: expect.stringMatching(detail) });
  });

  it('a slow answer is no skew', () => {
    const said = { host: 'slow', dateMs: atMs + 80_000, askedMs: atMs, heardMs: atMs + 90_000 };
    expect(judgeTime(said).status).toBe('ok');
  });

  it('is told of a framework that is two minutes elsewhere', async () => {
    const server = createServer((_, response) => {
      response.setHeader('date', new Date(nodeClock.wallMs() + 120_000).toUTCString());
      response.end('{"waiting":0,"held":[],"unwanted":[]}');
    });
    const url = await listening(server);
    const findings = await check({ url });
    await closed(server);
    expect(about(findings, `clock against ${new URL(url).host}`)).toMatchObject([
      {
        status: 'problem',
        detail: expect.stringContaining('behind it'),
        next: expect.stringContaining('NTP'),
      },
    ]);
  });

  it('and the broker is asked where another machine answers for it', async () => {
    const none = { publicUrls: { enrolment: 'http://127.0.0.1:1' } };
    expect(await checkBrokerTime(none)).toEqual([]);
    const server = createServer((_, response) => response.writeHead(404).end());
    const url = await listening(server);
    expect(await timeAt(url)).toMatchObject({ status: 'ok' });
    await closed(server);
    expect(await timeAt(url)).toMatchObject({
      status: 'warning',
      detail: expect.stringContaining('ECONNREFUSED'),
    });
  });
});

async function listening(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return `http://127.0.0.1:${port}`;
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
}
