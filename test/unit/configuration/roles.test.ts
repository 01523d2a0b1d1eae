import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createWeights } from '../../../broker/matching/weights.ts';
import {
  generatedFile,
  type Installation,
  openInstallation,
  readConfiguration,
  unreadSettings,
} from '../../../cli/installation.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const TOKEN = 'a-token-that-the-operator-chose';
const INTAKE = 'intake: { directory: { path: /var/spool/co-pilot } }\n';

let directory: string;
beforeEach(async () => {
  directory = await temporaryDirectory('roles');
});
afterEach(() => removeDirectory(directory));

async function installed(yaml: string): Promise<Installation['configurations']> {
  await writeFile(join(directory, 'co-pilot.yaml'), yaml, { mode: 0o600 });
  return (await openInstallation({ directory })).configurations;
}

describe('what a person sets reaches the programs', () => {
  it('weights: the same ones in the broker and in the local queue', async () => {
    const { broker, local } = await installed(
      'queues: { main: { share: { weight: 2, owners: { higgs: 3 }, campaigns: { urgent: 5 } } } }\n',
    );
    const weights = createWeights(broker.queues);
    expect(weights.queue('main')).toBe(2);
    expect(weights.owner('main', 'higgs')).toBe(3);
    expect(local.turns).toEqual({ main: { owners: { higgs: 3 }, campaigns: { urgent: 5 } }, demo: {} });
  });

  it('the ledger: a file, or a database with the password that lies elsewhere', async () => {
    expect((await installed('')).broker.ledger).toBeUndefined();
    const password = join(directory, 'password');
    await writeFile(password, 'a-password-of-the-database\n', { mode: 0o600 });
    const url = 'postgres://co-pilot@127.0.0.1/ledger';
    const { broker } = await installed(`
ledger: { kind: postgres, url: '${url}', failover: true }
secrets: { ledgerPassword: { file: ${password} } }
`);
    expect(broker.ledger).toEqual({
      place: { url, password: 'a-password-of-the-database' },
      failover: true,
    });
  });

  it('retention, metrics, log and digests, each where it belongs', async () => {
    const { broker, local, bridge } = await installed(`
retention: { broker: { jobDays: 1 }, local: { jobs: 7 }, bridge: { unfinishedDays: 9 } }
metrics: { brokerPort: 9001, localPort: 9002, bridgePort: 9003 }
log: { level: warn, format: text, jobs: false, owners: true, olderFiles: 9 }
bridge: { digests: [adler32], maxFileBytes: 5 }
`);
    expect(broker.retention).toMatchObject({ jobDays: 1, tombstoneDays: 400 });
    expect(local.retention).toEqual({ jobDays: 90, jobs: 7 });
    expect(bridge.retention).toEqual({ unfinishedDays: 9, discardedDays: 100 });
    expect([broker, local, bridge].map(({ metrics }) => metrics?.port)).toEqual([9001, 9002, 9003]);
    for (const { log } of [broker, local, bridge])
      expect(log).toEqual({
        level: 'warn',
        format: 'text',
        jobs: false,
        owners: true,
        pseudonymKey: broker.log?.pseudonymKey,
      });
    expect(bridge.digests).toEqual(['adler32']);
    expect(bridge.ceiling).not.toHaveProperty('digests');
    expect(bridge.ceiling.maxFileBytes).toBe(5);
  });

  it('nothing of it where nothing is said', async () => {
    const { broker, local, bridge } = await installed('');
    for (const role of [broker, local, bridge]) expect(role).not.toHaveProperty('metrics');
    expect(local).not.toHaveProperty('intake');
    expect(bridge).not.toHaveProperty('digests');
  });
});

describe('the intake of the local queue', () => {
  it('has its ways, and finds the bridge of its installation', async () => {
    const { local, bridge } = await installed(
      `intake: { http: { port: 8405, tokensFile: /etc/t, names: [q.example.org] }, directory: { path: /spool } }\n`,
    );
    expect(local.intake).toEqual({
      http: { port: 8405, tokensFile: '/etc/t', names: ['q.example.org'] },
      directory: { path: '/spool' },
      bridge: { url: `http://127.0.0.1:${bridge.port}`, token: bridge.operatorToken },
    });
  });

  it('takes the address and the token that a person chose', async () => {
    const file = join(directory, 'token');
    await writeFile(file, TOKEN, { mode: 0o600 });
    const { local, bridge } = await installed(
      `${INTAKE.replace('}', "}, bridge: { url: 'https://b.example.org' }")}secrets: { operatorToken: { file: ${file} } }\n`,
    );
    expect(local.intake?.bridge).toEqual({ url: 'https://b.example.org', token: TOKEN });
    expect(bridge.operatorToken).toBe(TOKEN);
  });

  it('goes without a bridge where it knows none', async () => {
    await installed(INTAKE);
    await rm(generatedFile(directory, 'bridge'));
    const local = await readConfiguration(directory, 'local');
    expect(local?.intake).toEqual({ directory: { path: '/var/spool/co-pilot' } });
  });

  it('that is closed needs no token, even where its reference leads nowhere', async () => {
    await installed('');
    const yaml = 'secrets: { operatorToken: { file: /nowhere/token } }\n';
    await writeFile(join(directory, 'co-pilot.yaml'), yaml, { mode: 0o600 });
    expect(await readConfiguration(directory, 'local')).toBeDefined();
    await writeFile(join(directory, 'co-pilot.yaml'), yaml + INTAKE, { mode: 0o600 });
    await expect(readConfiguration(directory, 'local')).rejects.toMatchObject({
      code: 'INVALID_CONFIGURATION',
    });
  });
});

it('what is made at the first start is read from its files, every key of it', async () => {
  await installed('');
  expect(await unreadSettings(directory)).toEqual(new Map());
});
