import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkConfiguration, loadConfiguration, problemText } from '../../../cli/configuration/load.ts';
import { originText } from '../../../cli/configuration/settings.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

let directory: string;
let file: string;
beforeEach(async () => {
  directory = await temporaryDirectory('configuration');
  file = join(directory, 'co-pilot.yaml');
});
afterEach(() => removeDirectory(directory));

interface Given {
  readonly yaml?: string;
  readonly environment?: NodeJS.ProcessEnv;
  readonly flags?: readonly string[];
}

async function options({ yaml, environment = {}, flags = [] }: Given) {
  if (yaml !== undefined) await writeFile(file, yaml, { mode: 0o600 });
  return { directory, environment, flags };
}

/** The problems, with the file's own path left out. */
async function problems(given: Given): Promise<readonly string[]> {
  const checked = await checkConfiguration(await options(given));
  return checked.kind === 'problems'
    ? checked.problems.map(problemText).map((text) => text.replaceAll(file, 'co-pilot.yaml'))
    : [];
}

async function effective(key: string, given: Given): Promise<readonly [unknown, string]> {
  const { entries } = await loadConfiguration(await options(given));
  const found = entries.find(({ path }) => path.join('.') === key);
  if (found === undefined) throw new Error(`there is no ${key}`);
  return [found.value, originText(found.origin).replace(file, 'co-pilot.yaml')];
}

describe('a value', () => {
  const yaml = 'broker:\n  sweepMs: 2000\n';
  const environment = { COPILOT_BROKER__SWEEP_MS: '3000' };
  const flags = ['broker.sweepMs=4000'];

  it('comes from the default, the file, the environment or a flag, the later before the earlier', async () => {
    expect(await effective('broker.sweepMs', {})).toEqual([1000, 'default']);
    expect(await effective('broker.sweepMs', { yaml })).toEqual([2000, 'co-pilot.yaml:2']);
    expect(await effective('broker.sweepMs', { yaml, environment })).toEqual([
      3000,
      'COPILOT_BROKER__SWEEP_MS',
    ]);
    expect(await effective('broker.sweepMs', { yaml, environment, flags })).toEqual([
      4000,
      '--set broker.sweepMs',
    ]);
  });

  it('of a queue is that of the queue, then that of all queues', async () => {
    const queues = 'queues:\n  night: { leaseMs: 7200000 }\n  demo: { maxLost: 3 }\n';
    const { settings } = await loadConfiguration(
      await options({
        yaml: queues,
        environment: { COPILOT_QUEUES__NIGHT__PREFETCH: '8' },
        flags: ['queues.day.shift.leaseMs=100000'],
      }),
    );
    expect(Object.keys(settings.queues)).toEqual(['main', 'demo', 'night', 'day.shift']);
    expect(settings.queues).toMatchObject({
      main: { leaseMs: 900_000, firstRenewMs: 60_000, maxLost: 20, jobAdapter: 'local' },
      demo: { leaseMs: 10_000, firstRenewMs: 5_000, maxLost: 3 },
      night: { leaseMs: 7_200_000, firstRenewMs: 60_000, prefetch: 8 },
      'day.shift': { leaseMs: 100_000 },
    });
  });

  it('of a queue may lie deeper, and names its owners and campaigns with their weights', async () => {
    const { settings } = await loadConfiguration(
      await options({
        yaml: 'queues: { main: { share: { weight: 2, campaigns: { urgent: 5 } } } }\n',
        environment: { COPILOT_QUEUES__NIGHT__SHARE__OWNERS: 'higgs=3, top=2' },
        flags: ['queues.day.shift.share.weight=7'],
      }),
    );
    expect(settings.queues['main']?.share).toEqual({ weight: 2, campaigns: { urgent: 5 } });
    expect(settings.queues['night']?.share).toEqual({ weight: 1, owners: { higgs: 3, top: 2 } });
    expect(settings.queues['day.shift']?.share).toEqual({ weight: 7 });
  });

  it('is yes or no where the key takes that', async () => {
    expect(await effective('log.jobs', { environment: { COPILOT_LOG__JOBS: 'false' } })).toEqual([
      false,
      'COPILOT_LOG__JOBS',
    ]);
    expect(await effective('log.owners', { flags: ['log.owners=true'] })).toEqual([true, '--set log.owners']);
  });

  it('is a list where the key takes one', async () => {
    expect(await effective('bridge.verbs', { environment: { COPILOT_BRIDGE__VERBS: 'get, put' } })).toEqual([
      ['get', 'put'],
      'COPILOT_BRIDGE__VERBS',
    ]);
  });

  it('that is empty in the environment is not there', async () => {
    expect(await effective('host', { environment: { COPILOT_HOST: '' } })).toEqual(['127.0.0.1', 'default']);
  });

  it('is not read from variables with another use', async () => {
    expect(await problems({ environment: { COPILOT_DATA: '/x', COPILOT_CODE_1: 'y' } })).toEqual([]);
  });
});

describe('the file', () => {
  it.each(['', '# nothing yet\n\n', '---\n# only\n'.slice(4)])('may say nothing: %j', async (yaml) => {
    expect(await problems({ yaml })).toEqual([]);
  });

  it('may be another one, and must be there then', async () => {
    const other = join(directory, 'other.yaml');
    await writeFile(other, 'up: { agents: 7 }\n', { mode: 0o600 });
    const environment = { COPILOT_CONFIG: other };
    expect((await loadConfiguration(await options({ environment }))).settings.up.agents).toBe(7);
    const absent = { COPILOT_CONFIG: join(directory, 'absent.yaml') };
    expect((await problems({ environment: absent })).join()).toContain('the file is not there');
  });

  it.each([0o620, 0o602, 0o666])('that others may change is refused (%o)', async (mode) => {
    await writeFile(file, 'host: 127.0.0.1\n');
    await chmod(file, mode);
    expect((await problems({})).join()).toContain('chmod go-w');
  });

  it.each([
    ['a key of another case', 'broker:\n  sweepMS: 1000\n', '2:3: broker.sweepMS: ', 'did you mean sweepMs?'],
    ['a misspelt section', 'limts: {}\n', '1:1: limts: ', 'did you mean limits?'],
    ['a misspelt key of a queue', 'queues:\n  main:\n    leesMs: 5000\n', '3:5: ', 'did you mean leaseMs?'],
    ['a key that is like none', 'zzz: 1\n', '1:1: zzz: ', 'known are host, ports,'],
    ['a text for a number', 'broker: { parkMs: soon }\n', '1:19: broker.parkMs: ', 'a whole number'],
    ['a number out of bounds', 'broker: { sweepMs: 5 }\n', '1:20: ', 'from 100 to 60000'],
    ['a name that is none', 'queues: { Main: {} }\n', '1:11: ', 'lower-case'],
    ['a list for a mapping', 'broker: []\n', '1:9: broker: ', 'a mapping'],
    ['nothing for a mapping', 'broker:\n', '1:8: broker: ', 'nothing'],
    ['a verb that is none', 'bridge: { verbs: [delete] }\n', '1:19: ', 'get or put'],
    ['a digest that is none', 'bridge: { digests: [sha1] }\n', '1:', 'md5 or adler32'],
    ['a relative folder', 'intake: { directory: { path: here } }\n', '1:30: ', 'an absolute path'],
    [
      'a weight that is none',
      'queues: { main: { share: { owners: { higgs: 0 } } } }\n',
      '1:',
      'from 1 to 1000',
    ],
    ['a name for yes', 'log: { jobs: maybe }\n', '1:14: log.jobs: ', 'true or false'],
    ['a misspelt weight', 'queues: { main: { share: { wieght: 2 } } }\n', '1:', 'did you mean weight?'],
    ['a port alone', 'intake: { http: { port: 8405 } }\n', '1:', 'a file of tokens'],
    ['tokens alone', 'intake: { http: { tokensFile: /x } }\n', '1:', 'intake.http.port'],
    ['a list alone', '- 1\n', '1:1: ', 'a list'],
    ['what is no YAML', 'host: [\n', '2:1: ', 'not valid YAML'],
    ['an anchor', 'host: &x 127.0.0.1\n', '1:10: ', 'anchors'],
    ['two documents', 'host: a\n---\nhost: b\n', '1:1: ', 'several documents'],
    ['a key twice', 'host: a\nhost: b\n', '2:1: ', 'unique'],
    ['too many levels', `host: ${'['.repeat(12)}${']'.repeat(12)}\n`, '1:', 'nested too deeply'],
  ])('with %s says where and what would be right', async (_what, yaml, place, right) => {
    const found = await problems({ yaml });
    expect(found.filter((text) => text.startsWith(`co-pilot.yaml:${place}`)).join('\n')).toContain(right);
  });

  it('is not read beyond its bound', async () => {
    expect((await problems({ yaml: `# ${'x'.repeat(300_000)}\n` })).join()).toContain('is over 262144 bytes');
  });

  it('tells everything that is wrong at once, in the order of the file, then what was set outside it', async () => {
    const found = await problems({
      yaml: 'hots: x\nbroker: { sweepMs: 1 }\n',
      environment: { COPILOT_BROKER__PARK_MS: 'long', COPILOT_BROKR__PARK_MS: '1' },
      flags: ['limits.coolDown=3', 'host'],
    });
    expect(found.map((text) => text.split(': ')[0])).toEqual([
      'co-pilot.yaml:1:1',
      'co-pilot.yaml:2:20',
      'COPILOT_BROKER__PARK_MS',
      'COPILOT_BROKR__PARK_MS',
      '--set limits.coolDown',
      '--set host',
    ]);
    expect(found[3]).toContain('did you mean COPILOT_BROKER__PARK_MS?');
    expect(found[4]).toContain('did you mean limits.coolDownMs?');
    expect(found[5]).toContain('write KEY=VALUE');
  });
});

describe('what does not go together', () => {
  it.each([
    ['a first renewal after the lease', 'queues: { main: { leaseMs: 10000 } }\n', 'queues.main.firstRenewMs'],
    ['an adapter that is not there', 'queues: { main: { jobAdapter: locale } }\n', 'did you mean local?'],
    ['a storage that is not there', 'queues: { main: { storageAdapter: tape } }\n', 'known are bridge'],
    ['one port twice', 'ports: { bus: 9000, bridge: 9000 }\n', 'is the port of ports.bus too'],
    [
      'a port of metrics that is another',
      'ports: { bus: 9000 }\nmetrics: { brokerPort: 9000 }\n',
      '2:24: metrics.brokerPort: is the port of ports.bus too',
    ],
    [
      'one port for metrics twice',
      'metrics: { localPort: 9000, bridgePort: 9000 }\n',
      'metrics.localPort too',
    ],
    [
      'a port of the intake that is another',
      'metrics: { localPort: 9000 }\nintake: { http: { port: 9000, tokensFile: /x } }\n',
      'intake.http.port too',
    ],
    ['a bridge without TLS', 'intake: { bridge: { url: "http://b.example.org" } }\n', 'without TLS'],
    [
      'files that go before their lease',
      'retention: { bridge: { unfinishedDays: 1 } }\nqueues: { main: { leaseMs: 86400000 } }\n',
      'lease of queue main',
    ],
    [
      'ids forgotten before their job',
      'retention: { broker: { tombstoneDays: 20 } }\n',
      'retention.broker.jobDays',
    ],
    ['a cool-down above its bound', 'limits: { coolDownMs: 7200000 }\n', 'limits.maxCoolDownMs'],
    ['a file above its attempt', 'bridge: { maxAttemptBytes: 5 }\n', 'bridge.maxAttemptBytes'],
    ['an attempt above everything', 'bridge: { maxTotalBytes: 68719476736 }\n', 'bridge.maxTotalBytes'],
    ['other machines without TLS', "host: '0.0.0.0'\n", 'publicUrls.bus: is needed'],
    ['a public address without TLS', 'publicUrls: { bridge: "http://b.example.org" }\n', 'without TLS'],
    ['a bus without TLS', 'adapters: { busUrl: "ws://b.example.org/bus" }\n', 'without TLS'],
  ])('%s', async (_what, yaml, told) => {
    expect((await problems({ yaml })).join('\n')).toContain(told);
  });

  it('is not found where a proxy ends TLS', async () => {
    const yaml = `host: '0.0.0.0'
publicUrls:
  bus: wss://b.example.org/bus
  enrolment: https://b.example.org
  bridge: https://f.example.org
`;
    expect(await problems({ yaml })).toEqual([]);
  });

  it('is not found in different ports, nor in a bridge of this machine', async () => {
    const yaml = `ports: { bus: 9000, bridge: 9001 }
metrics: { brokerPort: 9002, localPort: 9003, bridgePort: 9004 }
intake: { http: { port: 9005, tokensFile: /x }, bridge: { url: "http://127.0.0.1:9001" } }
`;
    expect(await problems({ yaml })).toEqual([]);
  });

  it('is found over what the environment sets too, and told there', async () => {
    expect((await problems({ environment: { COPILOT_QUEUES__MAIN__LEASE_MS: '5000' } })).join()).toContain(
      'queues.main.firstRenewMs: is 60000, more than queues.main.leaseMs, which is 5000',
    );
  });
});

describe('a secret', () => {
  const SECRET = 'correct-horse-battery-staple';

  it.each([
    ['in the file', { yaml: `secrets: { operatorToken: ${SECRET} }\n` }],
    ['as the whole section', { yaml: `secrets: ${SECRET}\n` }],
    ['in a list', { yaml: `secrets: { operatorToken: [${SECRET}] }\n` }],
    ['under a wrong name', { yaml: `secrets: { operatorTokn: ${SECRET} }\n` }],
    ['in the environment', { environment: { COPILOT_SECRETS__OPERATOR_TOKEN: SECRET } }],
    ['in a flag', { flags: [`secrets.operatorToken=${SECRET}`] }],
  ])('%s is refused with the reason, and not shown', async (_where, given) => {
    const found = (await problems(given)).join('\n');
    expect(found).toContain('a secret is never written here');
    expect(found).not.toContain(SECRET);
  });

  it('is referred to by a file or a variable', async () => {
    const given = {
      yaml: 'secrets: { localBus: { env: BUS } }\n',
      environment: { COPILOT_SECRETS__OPERATOR_TOKEN__FILE: '/etc/token' },
    };
    const { settings } = await loadConfiguration(await options(given));
    expect(settings.secrets).toEqual({ operatorToken: { file: '/etc/token' }, localBus: { env: 'BUS' } });
  });

  it('is not referred to by both', async () => {
    expect((await problems({ yaml: 'secrets: { localBus: { env: BUS, file: x } }\n' })).join()).toContain(
      'secrets.localBus',
    );
  });
});

describe('the ledger', () => {
  const postgres = (url: string): Given => ({ yaml: `ledger: { kind: postgres, url: '${url}' }\n` });

  it.each([
    'postgres://co-pilot@127.0.0.1/ledger',
    'postgresql://localhost:5433/ledger',
    'postgres:///ledger?host=/run/postgresql',
    'postgres://co-pilot@db.example.org/ledger?sslmode=verify-full&sslrootcert=/etc/ca.pem',
  ])('may be at %s', async (url) => {
    expect(await problems(postgres(url))).toEqual([]);
  });

  it.each([
    'postgres://db.example.org/ledger',
    'postgres://db.example.org/ledger?sslmode=require',
    'postgres://127.0.0.1/ledger?host=db.example.org',
  ])('is not reached without TLS at %s', async (url) => {
    expect(await problems(postgres(url))).toEqual([
      expect.stringMatching(/url: leaves this machine without TLS/),
    ]);
  });

  it.each([
    'postgres://me:canary@127.0.0.1/ledger',
    'postgres://127.0.0.1/ledger?password=canary',
    'postgres://:canary@127.0.0.1/ledger',
    'nonsense://me:canary@here',
  ])('has no password in its address, and none is shown: %s', async (url) => {
    const found = [
      await problems(postgres(url)),
      await problems({ environment: { COPILOT_LEDGER__URL: url } }),
      await problems({ flags: [`ledger.url=${url}`] }),
    ];
    for (const said of found) {
      expect(said.at(-1)).toMatch(/a password is never written here/);
      expect(said.join()).not.toContain('canary');
    }
  });

  it('has an address where it is a database, and none where it is a file', async () => {
    expect(await problems({ yaml: 'ledger: { kind: postgres }\n' })).toEqual([
      expect.stringMatching(/ledger.url: is needed/),
    ]);
    expect(await problems({ yaml: 'ledger: { failover: true }\n' })).toEqual([
      expect.stringMatching(/ledger.failover: is for a ledger of kind postgres/),
    ]);
  });
});
