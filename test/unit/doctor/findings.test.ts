import { ownerFindings } from '../../../cli/doctor/owners.ts';
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { found } from '../../../cli/doctor/finding.ts';
import {
  checkConnections,
  checkDatabases,
  checkIdentities,
  checkPermissions,
  checkPorts,
  checkRoles,
} from '../../../cli/doctor/installation.ts';
import { checkDisk, checkNode, checkSync, judgeClock, judgeSync } from '../../../cli/doctor/machine.ts';
import { type Installation, openInstallation } from '../../../cli/installation.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

let directory: string;
let installation: Installation;
beforeEach(async () => {
  directory = await temporaryDirectory('doctor');
  installation = await openInstallation({ directory });
});
afterEach(() => removeDirectory(directory));

const statusOf = (findings: readonly { status: string }[]): readonly string[] =>
  findings.map(({ status }) => status);

describe('of the machine', () => {
  it.each([
    ['24.21.0', 'ok'],
    ['26.0.0', 'ok'],
    ['24.14.9', 'problem'],
    ['25.9.0', 'problem'],
    ['20.1.0', 'problem'],
  ])('node %s is %s', (version, status) => {
    expect(checkNode(version).status).toBe(status);
  });

  it.each([
    [0.001, 'warning', /no disk does/],
    [0.5, 'ok', /0.50 ms/],
    [300, 'warning', /300/],
  ])('a sync of %f ms is %s', (medianMs, status, detail) => {
    expect(judgeSync(medianMs)).toMatchObject({ status, detail: expect.stringMatching(detail) });
  });

  it('syncs for real, and leaves nothing behind', async () => {
    const before = await readdir(directory);
    expect((await checkSync(directory)).detail).toContain('ms');
    expect(await readdir(directory)).toEqual(before);
    expect((await checkDisk(directory)).detail).toContain('GiB free');
  });

  it.each([
    [Date.UTC(1970, 0, 2), 0, 'problem'],
    [Date.UTC(2031, 0, 1), 5_000, 'warning'],
    [Date.UTC(2031, 0, 1), 3, 'ok'],
  ])('a clock at %i that drifts by %i ms is a %s', (wallMs, driftMs, status) => {
    expect(judgeClock(wallMs, driftMs).status).toBe(status);
  });
});

describe('of the installation', () => {
  it('permissions are well after the making, and told with the command that mends them', async () => {
    expect(statusOf(await checkPermissions(directory))).toEqual(['ok']);
    await chmod(join(directory, 'broker/config.json'), 0o644);
    await chmod(join(directory, 'bridge'), 0o755);
    const findings = await checkPermissions(directory);
    expect(statusOf(findings)).toEqual(['problem', 'problem']);
    expect(findings.map(({ next }) => next)).toEqual([
      `chmod 600 ${join(directory, 'broker/config.json')}`,
      `chmod 700 ${join(directory, 'bridge')}`,
    ]);
  });

  it('a port that another program has is a problem, one that is free is not, until its part should be there', async () => {
    const { bridge } = installation.configurations;
    const other = createServer().listen(bridge.port, '127.0.0.1');
    await once(other, 'listening');
    expect(statusOf(await checkPorts(installation, new Map()))).toEqual(['ok', 'ok', 'problem']);
    expect(statusOf(await checkPorts(installation, new Map([['bridge', {}]])))).toEqual(['ok', 'ok', 'ok']);
    other.close();
    await once(other, 'close');
    expect(statusOf(await checkPorts(installation, new Map([['bridge', {}]])))).toEqual([
      'ok',
      'ok',
      'problem',
    ]);
  });

  it('a damaged database is a problem, one that is not made yet is not', async () => {
    expect(new Set(statusOf(checkDatabases(directory, new Map())))).toEqual(new Set(['ok']));
    await writeFile(join(directory, 'broker/ledger.sqlite'), 'no database at all '.repeat(300));
    const [, ledger] = checkDatabases(directory, new Map());
    expect(ledger).toMatchObject({ status: 'problem', next: expect.stringContaining('ledger restore') });
  });

  it('parts, adapters and agents that are not there are named', () => {
    expect(statusOf(checkRoles(new Map([['broker', {}]])))).toEqual(['ok', 'warning', 'warning']);
    const status = { adapters: { local: true, bridge: false }, connectedAgents: 0 };
    expect(statusOf(checkConnections(new Map([['broker', status]])))).toEqual(['ok', 'problem', 'warning']);
    expect(checkConnections(new Map())).toEqual([]);
  });

  it('an identity that ended is told, and after seven days needs a code', async () => {
    const now = Date.UTC(2031, 0, 30);
    for (const [at, days] of [-1, 1, 9].entries()) {
      const place = join(directory, 'agents', `agent-${at + 1}`);
      await mkdir(place, { recursive: true });
      const claims = Buffer.from(JSON.stringify({ exp: now / 1000 - days * 86_400 })).toString('base64url');
      await writeFile(join(place, 'identity.json'), JSON.stringify({ identity: `x.${claims}.y` }));
    }
    await mkdir(join(directory, 'agents/agent-4'));
    const findings = await checkIdentities(directory, now);
    expect(findings.map(({ what, status }) => [what, status])).toEqual([
      ['agent-2', 'warning'],
      ['agent-3', 'problem'],
    ]);
  });
});

it('a check that fails itself is a finding like any other', async () => {
  const findings = await found('thing', () => Promise.reject(new Error('no\nway')));
  expect(findings).toMatchObject([{ status: 'problem', detail: 'cannot be found out: no' }]);
});

describe('owners', () => {
  it('that have nearly as many agents as may be are named, and what to do about it', () => {
    const counts = new Map([
      ['few', 89],
      ['nearly', 90],
      ['full', 100],
    ]);
    expect(ownerFindings(counts, 100).map(({ status, detail }) => [status, detail.split(' ')[0]])).toEqual([
      ['warning', 'nearly'],
      ['warning', 'full'],
    ]);
    expect(ownerFindings(new Map([['few', 1]]), 100)).toMatchObject([{ status: 'ok' }]);
  });
});
