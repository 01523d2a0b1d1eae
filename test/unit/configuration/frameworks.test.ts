import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkConfiguration, loadConfiguration } from '../../../cli/configuration/load.ts';
import { FRAMEWORK_DEFAULTS } from '../../../cli/configuration/role-configurations.ts';
import { addInstance } from '../../../cli/keys/add-instance.ts';
import schema from '../../../cli/configuration/configuration.schema.json' with { type: 'json' };
import {
  frameworkRole,
  frameworkRolesIn,
  generatedFile,
  openInstallation,
  readConfiguration,
  readFramework,
  readGeneratedFramework,
  roleDirectory,
} from '../../../cli/installation.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const YAML = `
queues: { night: { jobAdapter: site-queue }, day: { jobAdapter: site-queue }, other: { jobAdapter: second } }
frameworks:
  site-queue:
    kind: http-queue
    url: http://127.0.0.1:8000
    queues: { night: main, day: "the day's jobs" }
    tokenFile: /etc/co-pilot/token
    options: { worker: here, seconds: 5, names: [a, b], sites: { one: two } }
  second: { kind: http-queue, url: https://queue.example.org, queues: { other: main }, attempts: 3, metricsPort: 9470 }
`;

let directory: string;
beforeEach(async () => {
  directory = await temporaryDirectory('frameworks');
});
afterEach(() => removeDirectory(directory));

const write = (yaml: string): Promise<void> =>
  writeFile(join(directory, 'co-pilot.yaml'), yaml, { mode: 0o600 });
const load = () => loadConfiguration({ directory, environment: {} });
const install = async (yaml: string) => {
  await write(yaml);
  return openInstallation({ directory, configuration: await load() });
};

describe('frameworks in co-pilot.yaml', () => {
  it('have a program each, with a key that the broker knows, and everything the file says', async () => {
    const { configurations } = await install(YAML);
    const [first, second] = await Promise.all(
      ['site-queue', 'second'].map(async (name) => readFramework(directory, name, await load())),
    );
    expect(first).toMatchObject({
      name: 'site-queue',
      framework: {
        kind: 'http-queue',
        url: 'http://127.0.0.1:8000',
        queues: { night: 'main', day: "the day's jobs" },
        credential: { tokenFile: '/etc/co-pilot/token' },
        attempts: 1,
        options: { worker: 'here', seconds: 5, names: ['a', 'b'], sites: { one: 'two' } },
      },
      bridge: {
        url: `http://127.0.0.1:${configurations.bridge.port}`,
        token: configurations.bridge.operatorToken,
      },
    });
    expect(second).toMatchObject({ framework: { attempts: 3, options: {} }, metrics: { port: 9470 } });
    const { services } = configurations.broker;
    expect(services.map(({ name }) => name)).toEqual(['local', 'bridge', 'site-queue', 'second']);
    expect(new Set(services.map(({ keyId }) => keyId)).size).toBe(4);
    expect(services.find(({ name }) => name === 'second')?.secret).toBe(second?.busSecret);
    const file = generatedFile(directory, frameworkRole('second'));
    expect((await stat(file)).mode & 0o077).toBe(0);
    expect((await stat(roleDirectory(directory, frameworkRole('second')))).mode & 0o077).toBe(0);
  });

  it('are made once: the next start finds the same key', async () => {
    await install(YAML);
    const before = await readFile(generatedFile(directory, 'broker'), 'utf8');
    const key = (await readGeneratedFramework(directory, 'second'))?.key;
    await install(YAML);
    expect(await readFile(generatedFile(directory, 'broker'), 'utf8')).toBe(before);
    expect((await readGeneratedFramework(directory, 'second'))?.key).toEqual(key);
  });

  it('join an installation that is there, and believe whom its other adapters believe', async () => {
    await install('');
    const trust = '{"brokers":[],"grantKeys":[]}';
    await writeFile(join(roleDirectory(directory, 'broker'), 'trust.json'), trust, { mode: 0o600 });
    const { configurations } = await install(YAML);
    expect(configurations.broker.services.map(({ name }) => name)).toContain('second');
    const copied = join(roleDirectory(directory, frameworkRole('second')), 'trust.json');
    expect(await readFile(copied, 'utf8')).toBe(trust);
  });

  it('whose part is lost get another key, which the broker believes instead', async () => {
    const first = await install(YAML);
    await rm(roleDirectory(directory, frameworkRole('second')), { recursive: true });
    const again = await install(YAML);
    const keyOf = ({ configurations }: typeof first) =>
      configurations.broker.services.filter(({ name }) => name === 'second').map(({ key }) => key);
    expect(keyOf(again)).toHaveLength(1);
    expect(keyOf(again)).not.toEqual(keyOf(first));
  });

  it('that come after a second broker was added are let in by both, from its next start on', async () => {
    const { settings } = await loadConfiguration({
      directory: (await install('')).directory,
      environment: {},
      flags: [
        'bus.kind=rabbitmq',
        'bus.url=amqp://127.0.0.1',
        'ledger.kind=postgres',
        'ledger.url=postgres://a@127.0.0.1/b',
      ],
    });
    const to = join(directory, 'broker-2');
    await addInstance({ directory, to, name: 'broker-2', settings });
    const { configurations } = await install(YAML);
    const admitted = async (): Promise<unknown> =>
      (await readConfiguration(to, 'broker', await load()))?.services;
    expect(await admitted()).toEqual(configurations.broker.services);
    // One that is another user's, or on another host, has what it was made with.
    await rm(roleDirectory(directory, 'broker'), { recursive: true });
    expect(await admitted()).toMatchObject([{ name: 'local' }, { name: 'bridge' }]);
  });

  it('that are not configured any more are no longer let in', async () => {
    await install(YAML);
    const { configurations } = await install('');
    expect(configurations.broker.services.map(({ name }) => name)).toEqual(['local', 'bridge']);
    expect(await frameworkRolesIn(directory)).toHaveLength(2);
    expect(await readFramework(directory, 'second', await load())).toBeUndefined();
  });

  it('have the defaults of the schema', () => {
    expect(FRAMEWORK_DEFAULTS.attempts).toBe(schema.$defs.framework.properties.attempts.default);
  });

  it('can be set by a variable or a flag, as JSON', async () => {
    const frameworks = { q: { kind: 'http-queue', url: 'http://127.0.0.1:1', queues: { main: 'x' } } };
    const flags = [`frameworks=${JSON.stringify(frameworks)}`, 'queues.main.jobAdapter=q'];
    const { settings } = await loadConfiguration({ directory, environment: {}, flags });
    expect(settings.frameworks).toEqual(frameworks);
    const wrong = await checkConfiguration({ directory, environment: {}, flags: ['frameworks={broken'] });
    expect(wrong.kind).toBe('problems');
  });

  it.each([
    ['kind', 'is no kind', YAML.replace('kind: http-queue', 'kind: http-queu')],
    ['url', 'without TLS', YAML.replace('http://127.0.0.1:8000', 'http://queue.example.org')],
    ['queues', 'no queue of this adapter', YAML.replace('day: { jobAdapter: site-queue }', 'day: {}')],
    ['certificateFile', 'keyFile', YAML.replace('tokenFile:', 'certificateFile:')],
    ['name', 'another program', YAML.replaceAll('second', 'bridge')],
    ['port', 'is the port of', `${YAML}metrics: { brokerPort: 9470 }\n`],
    ['option', 'options', YAML.replace('seconds: 5', 'seconds: { a: [1] }')],
    ['key', 'tokenfile', YAML.replace('tokenFile', 'tokenfile')],
  ])('are refused with a wrong %s', async (_what, _why, yaml) => {
    await write(yaml);
    const checked = await checkConfiguration({ directory, environment: {} });
    expect(checked.kind).toBe('problems');
    if (checked.kind === 'problems')
      expect(
        checked.problems.every(
          ({ field }) => /framework|metricsPort/.test(field) || field.startsWith('metrics'),
        ),
      ).toBe(true);
  });
});
