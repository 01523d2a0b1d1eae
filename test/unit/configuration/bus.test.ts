import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EXIT, exitCodeOf } from '../../../cli/command-line.ts';
import { loadConfiguration } from '../../../cli/configuration/load.ts';
import { openInstallation } from '../../../cli/installation.ts';
import { findRabbit } from '../../../cli/rabbitmq/private-server.ts';
import { startBusFor } from '../../../cli/bus-for-up.ts';
import { busServer } from '../../../cli/bus-servers.ts';
import { findEjabberd } from '../../../cli/ejabberd/private-server.ts';
import { findProsody } from '../../../cli/prosody/private-server.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import { expectShape } from '../../doubles/command-shape.ts';
import { runCommand } from '../../doubles/command-in-process.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

let directory: string;
beforeEach(async () => {
  directory = await temporaryDirectory('bus-config');
});
afterEach(() => removeDirectory(directory));

async function set(url: string, kind = 'rabbitmq', more = ''): Promise<void> {
  await writeFile(join(directory, 'co-pilot.yaml'), `bus: { kind: ${kind}, url: "${url}"${more} }\n`, {
    mode: 0o600,
  });
}

function config(...more: readonly string[]) {
  return configOf('rabbitmq', ...more);
}

function configOf(server: string, ...more: readonly string[]) {
  return runCommand([
    ...['bus', 'config', server, ...more],
    ...['--data', directory, '--to', join(directory, 'server')],
  ]);
}

const written = (name: string): Promise<string> => readFile(join(directory, 'server', name), 'utf8');

describe('bus config rabbitmq', () => {
  it('writes what the server runs with, and shows no password', async () => {
    await set('amqp://127.0.0.1:5699');
    const { configurations } = await openInstallation({ directory });
    const { code, out } = await config();
    expect(code).toBe(0);
    expect(out.trim().split('\n')).toHaveLength(3);
    const [conf, definitions, plugins] = [
      await written('rabbitmq.conf'),
      await written('definitions.json'),
      await written('enabled_plugins'),
    ];
    expect(conf).toContain('listeners.tcp.1 = 127.0.0.1:5699\n');
    expect(conf).toContain(
      `auth_http.user_path = http://127.0.0.1:${configurations.broker.busPort}/v1/bus/user\n`,
    );
    expect(plugins).toBe('[rabbitmq_auth_backend_http,rabbitmq_event_exchange,rabbitmq_management].\n');
    expect(conf).toContain('management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = 15672\n');
    const { users } = JSON.parse(definitions) as { users: { name: string; tags: string[] }[] };
    expect(users.map(({ name }) => name)).toEqual(['broker', 'service.local', 'service.bridge']);
    expect(users.flatMap(({ tags }) => tags)).toEqual([]);
    const secrets = [
      ...configurations.broker.buses.map((bus) => (bus.kind === 'rabbitmq' ? bus.password : '')),
      configurations.local.busSecret,
      configurations.bridge.busSecret,
    ];
    for (const secret of secrets) {
      expect(secret).toMatch(/^.{16,}$/);
      expect(conf + definitions + out).not.toContain(secret);
    }
    expect((await stat(join(directory, 'server', 'definitions.json'))).mode & 0o077).toBe(0);
  });

  it('writes the same again', async () => {
    await set('amqp://127.0.0.1:5699');
    const { out } = await config('--json');
    expectShape('busFiles', JSON.parse(out));
    const before = await written('definitions.json');
    await config();
    expect(await written('definitions.json')).toBe(before);
  });

  it('listens with TLS alone where the address asks for it', async () => {
    await set('amqps://bus.example.org');
    await config();
    const conf = await written('rabbitmq.conf');
    expect(conf).toContain('listeners.tcp = none\nlisteners.ssl.default = 5671\n');
    expect(conf).toContain(`ssl_options.keyfile = ${join(directory, 'server', 'server.key')}\n`);
  });

  it('says what is missing where the bus is the embedded one', async () => {
    const { code, err } = await config();
    expect(code).toBe(EXIT.configuration);
    expect(err).toContain('bus.kind');
  });

  it('knows no other server', async () => {
    const { code, err } = await runCommand(['bus', 'config', 'kafka', '--data', directory]);
    expect(code).toBe(EXIT.data);
    expect(err).toContain('rabbitmq');
  });
});

describe('bus config prosody', () => {
  const conf = () => written('prosody.cfg.lua');

  it('writes what the server runs with, its modules included, for nobody else to read', async () => {
    await set('xmpp://127.0.0.1:5299', 'prosody', ', componentPort: 5399, brokers: [broker-2]');
    const { configurations } = await openInstallation({ directory });
    const { code, out } = await configOf('prosody');
    expect(code).toBe(0);
    expect(out.trim().split('\n')).toHaveLength(4);
    const text = await conf();
    for (const line of [
      'c2s_ports = { 5299 }',
      'component_ports = { 5399 }',
      'interfaces = { "127.0.0.1" }',
      's2s_ports = {}',
      'VirtualHost "localhost"',
      'Component "broker-1.broker.localhost"',
      'Component "broker-2.broker.localhost"',
      'Component "bridge.service.localhost"',
      `copilot_login_url = "http://127.0.0.1:${configurations.broker.busPort}/v1/bus/user"`,
    ])
      expect(text).toContain(line);
    expect(await written('modules/mod_copilot_guard.lua')).toContain('pre-resource-bind');
    expect(text).toContain('modules_enabled = { "copilot_evict", "copilot_guard" }');
    expect(await written('modules/mod_copilot_evict.lua')).toContain('urn:co-pilot:evict:1');
    expect(out).not.toContain(
      configurations.broker.buses.map((bus) => (bus.kind === 'prosody' ? bus.password : ''))[0],
    );
    expect((await stat(join(directory, 'server', 'prosody.cfg.lua'))).mode & 0o077).toBe(0);
  });

  it.each([
    ['xmpp://bus.example.org', 'c2s_ports = { 5222 }\nc2s_direct_tls_ports = {  }\n'],
    ['xmpps://bus.example.org', 'c2s_ports = {  }\nc2s_direct_tls_ports = { 5223 }\n'],
    ['wss://bus.example.org/xmpp-websocket', 'http_ports = { 5280 }\n'],
  ])('takes no login in the clear at %s', async (url, lines) => {
    await set(url, 'prosody');
    await configOf('prosody');
    const text = await conf();
    expect(text).toContain(lines);
    expect(text).toContain('c2s_require_encryption = true\nallow_unencrypted_plain_auth = false\n');
    expect(text).toContain('VirtualHost "bus.example.org"');
    expect(text.includes(`key = "${join(directory, 'server', 'server.key')}"`)).toBe(url.startsWith('xmpp'));
  });

  it('says what is missing where the bus is another one', async () => {
    await set('amqp://127.0.0.1:5699');
    const { code, err } = await configOf('prosody');
    expect(code).toBe(EXIT.configuration);
    expect(err).toContain('bus.kind to prosody');
  });
});

describe('bus config ejabberd', () => {
  it('where no compiler is writes the files and says what is missing, and how to get it', async () => {
    await set('xmpp://127.0.0.1:5299', 'ejabberd');
    await openInstallation({ directory });
    vi.stubEnv('PATH', join(directory, 'no-programs'));
    try {
      const { code, err } = await configOf('ejabberd');
      expect(code).toBe(EXIT.unavailable);
      expect(err).toContain(
        'must be compiled; install it with: sudo apt-get install ejabberd, and say this again',
      );
      expect(err).toContain(join(directory, 'server'));
    } finally {
      vi.unstubAllEnvs();
    }
    expect(await written('modules/mod_copilot_guard.erl')).toContain('-module(mod_copilot_guard)');
  });

  it('writes a server that asks this broker and listens where it must, and starts it with these files', async () => {
    await set('xmpp://127.0.0.1:5299', 'ejabberd', ', componentPort: 5399, brokers: [broker-2]');
    const installation = await openInstallation({ directory });
    const { broker } = installation.configurations;
    const place = join(directory, "it's");
    const files = (await busServer('ejabberd', 'a server')).files(installation, place);
    const { listen, modules, hosts } = JSON.parse(files['ejabberd.yml'] ?? '') as {
      readonly hosts: readonly string[];
      readonly listen: readonly Readonly<Record<string, unknown>>[];
      readonly modules: Readonly<Record<string, unknown>>;
    };
    expect(hosts).toEqual(['localhost']);
    const names = ['broker', 'broker-1.broker', 'broker-2.broker', 'local.service', 'bridge.service'];
    expect(listen).toMatchObject([
      { module: 'ejabberd_c2s', ip: '127.0.0.1', port: 5299 },
      { module: 'ejabberd_service', ip: '127.0.0.1', port: 5399, check_from: true },
    ]);
    expect(Object.keys(listen[1]?.['hosts'] as object)).toEqual(names.map((name) => `${name}.localhost`));
    expect(modules['mod_copilot_guard']).toMatchObject({
      brokers: names.slice(0, 3).map((name) => `${name}.localhost`),
      login_url: `http://127.0.0.1:${broker.busPort}/v1/bus/user`,
    });
    expect(modules).toHaveProperty('mod_copilot_evict');
    expect(files['start.sh']).toContain(`EJABBERD_CONFIG_PATH='${directory}/it'\\''s/ejabberd.yml'`);
  });

  it.each([
    ['xmpp://bus.example.org', { port: 5222, starttls_required: true }],
    ['xmpps://bus.example.org', { port: 5223, tls: true }],
    ['wss://bus.example.org/xmpp-websocket', { module: 'ejabberd_http', ip: '127.0.0.1', port: 5280 }],
  ])('takes no login in the clear at %s', async (url, listener) => {
    await set(url, 'ejabberd');
    const installation = await openInstallation({ directory });
    const files = (await busServer('ejabberd', 'a server')).files(installation, directory);
    const { listen } = JSON.parse(files['ejabberd.yml'] ?? '') as { readonly listen: readonly unknown[] };
    expect(listen).toHaveLength(2);
    expect(listen[0]).toMatchObject(listener);
  });
});

it('bus check has nothing to check without an installation, and none on the embedded bus', async () => {
  const check = () => runCommand(['bus', 'check', '--data', directory]);
  expect((await check()).code).toBe(EXIT.unavailable);
  await openInstallation({ directory });
  expect((await check()).code).toBe(EXIT.data);
});

describe('a bus server that up starts', () => {
  it('which is not installed ends it with 69 and the line that installs it', () => {
    try {
      findRabbit([], []);
      expect.unreachable();
    } catch (caught) {
      if (!(caught instanceof CoPilotError)) throw caught;
      expect(caught.message).toContain('apt-get install rabbitmq-server');
      expect(exitCodeOf(caught)).toBe(EXIT.unavailable);
    }
  });

  it('says the same of Prosody and ejabberd', () => {
    expect(() => findProsody([])).toThrow(/apt-get install prosody/);
    expect(() => findEjabberd([])).toThrow(/apt-get install ejabberd/);
  });

  it('which nobody knows is named with those that are known', async () => {
    await expect(startBusFor('kafka', directory, [])).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
      message: expect.stringContaining('rabbitmq'),
    });
  });
});

describe('the settings of the bus', () => {
  const check = (...flags: readonly string[]) =>
    runCommand(['config', 'check', '--data', directory, ...flags.flatMap((flag) => ['--set', flag])]);

  it.each([
    ['a server without an address', ['bus.kind=rabbitmq'], 'bus.url'],
    [
      'a server without TLS on another machine',
      ['bus.kind=rabbitmq', 'bus.url=amqp://bus.example.org'],
      'amqps://',
    ],
    [
      'adapters on another bus',
      ['bus.kind=rabbitmq', 'bus.url=amqp://127.0.0.1', 'adapters.busUrl=ws://127.0.0.1:1/bus'],
      'adapters.busUrl',
    ],
    ['an XMPP server without an address', ['bus.kind=prosody'], 'bus.url'],
    [
      'an address of another kind of server',
      ['bus.kind=prosody', 'bus.url=amqp://127.0.0.1'],
      'which is prosody',
    ],
    [
      'adapters that would speak in the clear to another machine',
      ['bus.kind=prosody', 'bus.url=xmpps://bus.example.org', 'adapters.busUrl=xmpp://bus.example.org'],
      'make a tunnel',
    ],
    ['agents on another bus', ['publicUrls.bus=amqps://bus.example.org'], 'publicUrls.bus'],
    ['a kind that is none', ['bus.kind=kafka'], 'websocket'],
    [
      'an address with a password in it',
      ['bus.kind=rabbitmq', 'bus.url=amqp://broker:secret@127.0.0.1'],
      'bus.url',
    ],
  ])('refuse %s', async (_what, flags, said) => {
    const { code, out, err } = await check(...flags);
    expect(code).toBe(EXIT.configuration);
    expect(out + err).toContain(said);
  });
});

describe('a list of buses', () => {
  const RABBIT = "{ kind: rabbitmq, url: 'amqp://127.0.0.1:5699', accessPort: 5701 }";
  const PROSODY =
    "{ kind: prosody, url: 'xmpp://127.0.0.1:5299', accessPort: 5702, componentPort: 5399, brokers: [broker-2] }";

  const COMMON = { componentPort: 5347, managementUrl: 'http://127.0.0.1:15672' };

  const write = (yaml: string): Promise<void> =>
    writeFile(join(directory, 'co-pilot.yaml'), yaml, { mode: 0o600 });

  it('reaches broker and adapters in its order, and the server asks at a port of its own', async () => {
    await write(`bus: [${RABBIT}, { publicUrl: 'wss://broker.example.org/bus' }]\n`);
    const { configurations } = await openInstallation({ directory });
    const { broker, local, bridge } = configurations;
    expect(broker.buses).toEqual([
      {
        kind: 'rabbitmq',
        url: 'amqp://127.0.0.1:5699',
        accessPort: 5701,
        managementUrl: 'http://127.0.0.1:15672',
        password: expect.stringMatching(/^.{16,}$/),
      },
      { kind: 'websocket', publicUrl: 'wss://broker.example.org/bus' },
    ]);
    for (const { busUrls } of [local, bridge])
      expect(busUrls).toEqual(['amqp://127.0.0.1:5699', `ws://127.0.0.1:${broker.busPort}/bus`]);
    await config();
    expect(await written('rabbitmq.conf')).toContain(
      'auth_http.user_path = http://127.0.0.1:5701/v1/bus/user\n',
    );
  });

  it('has in each entry what is of that server', async () => {
    await write(
      `bus: [{}, ${RABBIT.replace(' }', ", managementUrl: 'http://127.0.0.1:15699' }")}, ${PROSODY}]\n`,
    );
    const { configurations } = await openInstallation({ directory });
    const { broker, local } = configurations;
    expect(broker.buses).toMatchObject([
      { kind: 'websocket' },
      { kind: 'rabbitmq', accessPort: 5701, managementUrl: 'http://127.0.0.1:15699' },
      { kind: 'prosody', accessPort: 5702, componentUrl: 'xmpp://127.0.0.1:5399/localhost' },
    ]);
    expect(local.busUrls).toEqual([
      `ws://127.0.0.1:${broker.busPort}/bus`,
      'amqp://127.0.0.1:5699',
      'xmpp://127.0.0.1:5399/localhost',
    ]);
    await configOf('rabbitmq');
    expect(await written('rabbitmq.conf')).toContain('management.tcp.port = 15699\n');
    await configOf('prosody');
    const text = await written('prosody.cfg.lua');
    expect(text).toContain('copilot_login_url = "http://127.0.0.1:5702/v1/bus/user"');
    expect(text).toContain('Component "broker-2.broker.localhost"');
  });

  it('is shown as it is written, with what it leaves out, and a flag for one bus goes before it', async () => {
    await write(`bus: [{ kind: websocket }, ${RABBIT}]\n`);
    const { settings } = await loadConfiguration({ directory, environment: {} });
    expect(settings.bus).toEqual([
      { kind: 'websocket', ...COMMON },
      { kind: 'rabbitmq', url: 'amqp://127.0.0.1:5699', accessPort: 5701, ...COMMON },
    ]);
    const flags = ['bus.kind=rabbitmq', 'bus.url=amqp://127.0.0.1:1'];
    const one = await loadConfiguration({ directory, environment: {}, flags });
    expect(one.settings.bus).toEqual({ kind: 'rabbitmq', url: 'amqp://127.0.0.1:1', ...COMMON });
  });

  it.each([
    ['without an entry', 'bus: []', 'bus: '],
    ['of lists', 'bus: [[{ kind: websocket }]]', 'bus[0]'],
    ['with a kind that is none', 'bus: [{ kind: kafka }]', 'bus[0].kind'],
    ['with a server without an address', 'bus: [{ kind: rabbitmq }]', 'bus[0].url'],
    ['with one kind twice', 'bus: [{}, {}]', 'bus[1].kind'],
    [
      'whose server would ask where agents connect',
      "bus: [{}, { kind: rabbitmq, url: 'amqp://127.0.0.1' }]",
      'bus[1].accessPort',
    ],
    [
      'whose servers would ask at one port',
      `bus: [${RABBIT}, { kind: prosody, url: 'xmpp://127.0.0.1' }]`,
      'bus[1].accessPort',
    ],
    [
      'whose adapters would speak to another machine in the clear',
      `bus: [{}, ${PROSODY.replace('brokers', 'adaptersUrl: "xmpp://b.example.org", brokers')}]`,
      'bus[1].adaptersUrl',
    ],
    [
      'whose components would come to one port',
      `bus: [${PROSODY}, ${PROSODY.replace('prosody', 'ejabberd').replace('5702', '5703')}]`,
      'bus[1].componentPort',
    ],
    [
      'whose management is reached in the clear',
      `bus: [{}, ${RABBIT.replace(' }', ", managementUrl: 'http://b.example.org' }")}]`,
      'bus[1].managementUrl',
    ],
    [
      'with an address beside it',
      `bus: [{}, ${RABBIT}]\npublicUrls: { bus: 'wss://b.example.org/bus' }`,
      'publicUrls.bus',
    ],
    [
      'with the address of another',
      `bus: [{ adaptersUrl: 'amqps://b.example.org' }, ${RABBIT}]`,
      'bus[0].adaptersUrl',
    ],
    ['with an address in the clear', "bus: [{ publicUrl: 'ws://b.example.org/bus' }]", 'bus[0].publicUrl'],
    ['for other machines without TLS', `host: '0.0.0.0'\nbus: [{}, ${RABBIT}]`, 'bus[0].publicUrl'],
    ['with a port twice', `ports: { bridge: 5701 }\nbus: [{}, ${RABBIT}]`, 'bus[1].accessPort'],
  ])('is refused %s', async (_what, yaml, field) => {
    await write(`${yaml}\n`);
    await expect(loadConfiguration({ directory, environment: {} })).rejects.toMatchObject({
      code: 'INVALID_CONFIGURATION',
      message: expect.stringContaining(field),
    });
  });
});
