import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../doubles/eventually.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';
import { startSquid, type SquidServer } from '../../servers/squid.ts';
import { admit, setSite } from './site-stage.ts';
import type { SiteStage } from './site-stage.ts';

/** A name that nobody but the proxy finds. */
const CONDITIONS = 'conditions.example.org';
const FETCH = `python3 -c 'import os, urllib.request as r; print(r.urlopen(os.environ["WHERE"]).read().decode())'`;

let stage: SiteStage;

beforeEach(async () => {
  stage = await setSite();
});
afterEach(() => stage.close());

describe('SITECONF and variables', () => {
  it('are there in every job, to be read and not to be written', async () => {
    await mkdir(join(stage.site, 'SITECONF', 'local', 'JobConfig'), { recursive: true });
    await writeFile(
      join(stage.site, 'SITECONF/local/JobConfig/site-local-config.xml'),
      '<site-local-config/>',
    );
    const environment = await stage.open(
      'siteconf: SITECONF/local\nvariables: {GLIDEIN_CMSSite: T3_CH_Volunteer}',
    );
    const { exit, said } = await stage.job(
      await admit(environment),
      'echo $GLIDEIN_CMSSite; cat $SITECONFIG_PATH/JobConfig/site-local-config.xml; touch $SITECONFIG_PATH/mine',
    );
    expect(said).toContain('T3_CH_Volunteer\n<site-local-config/>');
    expect(said).toMatch(/Read-only file system|Permission denied/);
    expect(exit).toMatchObject({ kind: 'exited', code: 1 });
  });

  it('a directory that is not there is said at the start', async () => {
    await expect(stage.open('siteconf: SITECONF/local')).rejects.toMatchObject({
      code: 'INVALID_CONFIGURATION',
    });
  });
});

describe('validation', () => {
  it('runs every program of the bundle in the jail, with what the job will have', async () => {
    const checks = await stage.bundle({
      '10-site': 'test "$CMS_SITE" = T3_CH_Volunteer',
      '20-apart': `! cat ${stage.secretFile} && test "$(pwd)" = "$HOME"`,
    });
    const environment = await stage.open(`${checks}\nvariables: {CMS_SITE: T3_CH_Volunteer}`);
    expect(environment.examines).toBe(true);
    expect(await admit(environment)).toMatchObject({ kind: 'fit' });
  });

  it.each([
    [
      '10-disk',
      'echo looking; echo "no space left for $CMS_SITE" >&2; exit 3',
      '10-disk ended with 3: no space left for T3',
    ],
    ['10-long', 'sleep 60', 'went over its limit of wall'],
    ['10-crash', 'kill -SEGV $$', '10-crash ended with 139'],
  ])('%s: one that fails makes the host unfit, for the reason it gave', async (name, text, reason) => {
    const checks = await stage.bundle({ '00-good': 'exit 0', [name]: text, '99-late': 'echo never' });
    const settings = checks.replace('wallSeconds: 5', 'wallSeconds: 1');
    const environment = await stage.open(`${settings}\nvariables: {CMS_SITE: T3}`);
    expect(await admit(environment)).toMatchObject({
      kind: 'unfit',
      reason: expect.stringContaining(reason),
    });
  });

  it('a host that is repaired is fit again', async () => {
    const checks = await stage.bundle({ '10-flag': `test -e ${stage.cvmfsRoot}/grid.cern.ch/flag` });
    await mkdir(join(stage.cvmfsRoot, 'grid.cern.ch'));
    await writeFile(join(stage.cvmfsRoot, 'grid.cern.ch', 'other'), '');
    const environment = await stage.open(`${checks}\ncvmfs: {repositories: [grid.cern.ch]}`);
    expect(await admit(environment)).toMatchObject({ kind: 'unfit' });
    await writeFile(join(stage.cvmfsRoot, 'grid.cern.ch', 'flag'), '');
    expect(await admit(environment)).toMatchObject({ kind: 'fit' });
  });

  it('a bundle of another digest, or without programs, is never taken for good', async () => {
    const checks = await stage.bundle({});
    expect(await admit(await stage.open(checks))).toMatchObject({
      kind: 'unfit',
      reason: expect.stringContaining('no program in validate.d'),
    });
    await writeFile(join(stage.site, 'checks.tar.gz'), 'something else');
    await expect(stage.open(checks)).rejects.toMatchObject({
      code: 'INVALID_CONFIGURATION',
      message: expect.stringContaining('digest'),
    });
  });

  it('an agent that ends meanwhile does not wait for it', async () => {
    const environment = await stage.open(await stage.bundle({ '10-long': 'sleep 60' }));
    const ending = new AbortController();
    const admission = environment.admit(ending.signal);
    ending.abort();
    expect(await admission).toEqual({ kind: 'given-up' });
  });
});

describe('web proxies', () => {
  let directory: string;
  let squid: SquidServer;
  let origin: Server;
  /** What the server of the site answers, by path. */
  const pages = new Map<string, string>();

  beforeAll(async () => {
    directory = await temporaryDirectory('squid');
    squid = await startSquid(directory, [CONDITIONS]);
    origin = createServer((request, response) => {
      const path = new URL(request.url ?? '', 'http://x').pathname;
      response.statusCode = pages.has(path) ? 200 : 404;
      response.end(pages.get(path));
    }).listen(0, '127.0.0.1');
    await once(origin, 'listening');
    pages.set('/payload', 'the conditions');
  });
  afterAll(async () => {
    await squid.stop();
    origin.closeAllConnections();
    origin.close();
    await removeDirectory(directory);
  });

  const port = (): number => (origin.address() as AddressInfo).port;
  const fetchLine = (): string => `WHERE=http://${CONDITIONS}:${port()}/payload ${FETCH}`;
  const wpad = (settings = ''): string =>
    `webProxies: {wpad: "http://127.0.0.1:${port()}/wpad.dat"${settings}}`;
  const viaSquid = async (): Promise<number> =>
    (await squid.log()).filter((line) => line.includes(`${CONDITIONS}:${port()}/payload`)).length;

  async function fetchesThroughSquid(settings: string): Promise<void> {
    const before = await viaSquid();
    const admission = await admit(await stage.open(settings));
    const { exit, said } = await stage.job(admission, fetchLine());
    expect(exit, said).toMatchObject({ kind: 'exited', code: 0 });
    expect(said).toContain('the conditions');
    await eventually(
      'its line in the log of the proxy',
      async () => ((await viaSquid()) > before ? true : undefined),
      5_000,
    );
  }

  it('a job fetches through the squid that is named', async () => {
    await fetchesThroughSquid(`webProxies: {proxies: ["http://127.0.0.1:1", "${squid.url}"]}`);
  });

  it('and through the one that WPAD finds for this host and what is to be fetched', async () => {
    const { host } = new URL(squid.url);
    pages.set(
      '/wpad.dat',
      `function FindProxyForURL(url, host) {
         if (isPlainHostName(host) || shExpMatch(host, "*.elsewhere.org")) return "DIRECT";
         if (isInNet(myIpAddress(), "0.0.0.0", "0.0.0.0") && dnsDomainIs(host, ".cern.ch"))
           return "PROXY http://${host}; PROXY 127.0.0.1:1";
         return "PROXY 127.0.0.1:1";
       }`,
    );
    await fetchesThroughSquid(wpad());
  });

  it('a file that would read the agent’s secret finds none, and has no network to tell anybody', async () => {
    pages.set(
      '/wpad.dat',
      `function FindProxyForURL() {
         const fs = process.getBuiltinModule('node:fs');
         const found = ['${stage.secretFile}', '/etc/shadow'].filter((path) => fs.existsSync(path)).length;
         const nets = Object.keys(process.getBuiltinModule('node:os').networkInterfaces()).filter((name) => name !== 'lo').length;
         return found + nets === 0 ? "PROXY ${new URL(squid.url).host}" : "DIRECT";
       }`,
    );
    expect(await admit(await stage.open(wpad()))).toMatchObject({
      kind: 'fit',
      extras: { variables: { http_proxy: squid.url, no_proxy: 'localhost,127.0.0.1,::1' } },
    });
  });

  it.each([
    ['no program', '<html>not found</html>', 'could not be run'],
    ['one that fails', 'function FindProxyForURL() { throw new Error("x"); }', 'could not be run'],
    ['too much', 'x'.repeat(70_000), 'is over'],
    ['nothing of use', 'function FindProxyForURL() { return "SOCKS x:1"; }', 'none is named'],
  ])(
    '%s in the place of the file makes the host unfit, unless jobs may go without',
    async (_what, page, reason) => {
      pages.set('/wpad.dat', page);
      expect(await admit(await stage.open(wpad()))).toMatchObject({
        kind: 'unfit',
        reason: expect.stringContaining(reason),
      });
    },
  );

  it('a job goes without where the file allows it', async () => {
    pages.set('/wpad.dat', 'function FindProxyForURL() { return "PROXY 127.0.0.1:1; DIRECT"; }');
    expect(await admit(await stage.open(wpad()))).toMatchObject({ kind: 'fit', extras: { variables: {} } });
  });

  it('one job more than the proxy may have waits for another to end', async () => {
    const environment = await stage.open(`webProxies: {proxies: ["${squid.url}"], jobsPerProxy: 1}`);
    const first = await admit(environment);
    let isIn = false;
    const second = admit(environment).then((admission) => {
      isIn = true;
      return admission;
    });
    await admit(await stage.open('variables: {A: b}'));
    expect(isIn).toBe(false);
    if (first.kind === 'fit') first.leave();
    expect(await second).toMatchObject({ kind: 'fit' });
  });
});

describe('CVMFS', () => {
  const PARROT = '#!/bin/sh\nwhile [ "${1#-}" != "$1" ]; do echo "told $1"; shift; done\nexec "$@"\n';

  it('by mount: a job reads the repository, and nothing beside it', async () => {
    for (const name of ['cms.cern.ch', 'other.cern.ch']) {
      await mkdir(join(stage.cvmfsRoot, name));
      await writeFile(join(stage.cvmfsRoot, name, 'release'), `CMSSW of ${name}`);
    }
    const admission = await admit(await stage.open('cvmfs: {repositories: [cms.cern.ch]}'));
    const { said } = await stage.job(
      admission,
      `cat ${stage.cvmfsRoot}/cms.cern.ch/release; ls ${stage.cvmfsRoot}; touch ${stage.cvmfsRoot}/cms.cern.ch/x`,
    );
    expect(said).toContain('CMSSW of cms.cern.ch');
    expect(said).not.toContain('other.cern.ch');
    expect(said).toMatch(/Read-only file system|Permission denied/);
  });

  it('by parrot, where it is not mounted: the command runs under it', async () => {
    const parrot = join(stage.site, 'parrot_run');
    await writeFile(parrot, PARROT);
    await chmod(parrot, 0o755);
    const settings = `cvmfs: {repositories: [cms.cern.ch], parrot: ${parrot}, parrotRepositories: "cms.cern.ch:url=http://s/cvmfs/cms"}`;
    const { exit, said } = await stage.job(await admit(await stage.open(settings)), 'echo the job; exit 4');
    expect(said.split('\n')).toEqual([
      'told --cvmfs-repo-switching',
      'told --tempdir=.parrot',
      'told --cvmfs-repos=cms.cern.ch:url=http://s/cvmfs/cms',
      'the job',
    ]);
    expect(exit).toMatchObject({ code: 4 });
  });

  it('where it is neither, the host is unfit', async () => {
    expect(await admit(await stage.open('cvmfs: {repositories: [cms.cern.ch]}'))).toEqual({
      kind: 'unfit',
      reason: 'CVMFS: cms.cern.ch is not mounted',
    });
  });
});
