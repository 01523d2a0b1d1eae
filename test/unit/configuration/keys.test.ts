import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseTrust } from '../../../adapters/trust.ts';
import { parseRing } from '../../../broker/keys/key-ring.ts';
import { EXIT } from '../../../cli/command-line.ts';
import { openInstallation, readConfiguration } from '../../../cli/installation.ts';
import { hex } from '../../../protocol/encoding.ts';
import { loadKey } from '../../../protocol/runtime/key-file.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import { expectShape } from '../../doubles/command-shape.ts';
import { runCommand } from '../../doubles/command-in-process.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const crypto = createCrypto();
let directory: string;
let other: string;
beforeEach(async () => {
  directory = await temporaryDirectory('keys');
  other = join(directory, 'second');
  await openInstallation({ directory });
});
afterEach(() => removeDirectory(directory));

const run = (...args: readonly string[]) => runCommand([...args, '--data', directory, '--json']);
const text = (...path: readonly string[]) => readFile(join(directory, ...path), 'utf8');
const ring = async () => parseRing(await text('broker', 'keys.json'));
const trust = async (role: string) => parseTrust(await text(role, 'trust.json'));

interface Shown {
  readonly keys: readonly { readonly purpose: string; readonly state: string }[];
}

async function states(...args: readonly string[]): Promise<readonly string[]> {
  const { code, out } = await run('key', ...args);
  expect(code).toBe(EXIT.ok);
  return (JSON.parse(out) as Shown).keys.map(({ purpose, state }) => `${purpose} ${state}`);
}

describe('key list and key roll', () => {
  it('show the keys of the first start, and none of their bytes', async () => {
    const { out } = await run('key', 'list');
    expectShape('keyList', JSON.parse(out));
    expect(await states('list')).toEqual(['identity signs', 'certifier signs', 'grant signs']);
    const { broker } = (await openInstallation({ directory })).configurations;
    for (const { private: secret } of Object.values(broker.keys)) expect(out).not.toContain(secret);
  });

  it('make a key that follows, for its owner’s eyes, and tell the adapters of it first', async () => {
    const { out } = await run('key', 'roll', 'all');
    expectShape('keyRoll', JSON.parse(out));
    expect(await states('list')).toEqual([
      'identity signs',
      'identity follows',
      'certifier signs',
      'certifier follows',
      'grant signs',
      'grant follows',
    ]);
    expect((await stat(join(directory, 'broker', 'keys.json'))).mode & 0o077).toBe(0);
    for (const { key } of (await ring()).grant) expect(out).not.toContain(key.private);
    const { grantKeys } = await trust('bridge');
    const grants = (await ring()).grant.map(({ key }) => hex(loadKey(crypto, key).publicKey.raw));
    expect(grantKeys.map(({ key }) => key)).toEqual(grants);
    expect(grantKeys.map(({ untilMs }) => typeof untilMs)).toEqual(['number', 'object']);
    expect(await trust('local')).toEqual(await trust('bridge'));
  });

  it('are not rolled twice in a row, except in an emergency, which leaves one key of each', async () => {
    await states('roll', 'grant');
    const again = await run('key', 'roll', 'grant');
    expect(again.code).toBe(EXIT.cannotCreate);
    const before = await ring();
    expect(await states('roll', 'all', '--emergency')).toEqual([
      'identity signs',
      'certifier signs',
      'grant signs',
      'identity dropped',
    ]);
    const after = await ring();
    for (const { key } of [...before.identity, ...before.certifier, ...before.grant])
      expect(JSON.stringify(after)).not.toContain(key.private);
    const old = before.grant.map(({ key }) => hex(loadKey(crypto, key).publicKey.raw));
    const { grantKeys } = await trust('bridge');
    expect(grantKeys).toHaveLength(1);
    expect(old).not.toContain(grantKeys[0]?.key);
  });

  it.each([
    ['a key that there is not', ['roll', 'session']],
    ['a time that is none', ['roll', 'grant', '--lead', 'soon']],
  ])('refuse %s', async (_what, args) => {
    expect((await run('key', ...args)).code).toBe(EXIT.data);
  });

  it('say where there is no broker', async () => {
    await mkdir(other);
    const { code } = await runCommand(['key', 'roll', 'grant', '--data', other]);
    expect(code).toBe(EXIT.unavailable);
  });
});

describe('broker add', () => {
  const add = (name = 'broker-2', to = other) => run('broker', 'add', name, '--to', to);
  const shareable = () =>
    writeFile(
      join(directory, 'co-pilot.yaml'),
      [
        'bus: { kind: rabbitmq, url: "amqp://127.0.0.1:5699" }',
        'ledger: { kind: postgres, url: "postgres://co-pilot@127.0.0.1/ledger" }',
        '',
      ].join('\n'),
      { mode: 0o600 },
    );

  it('makes a broker of the same installation with a session key and a name of its own', async () => {
    await shareable();
    const { code, out } = await add();
    expect(code).toBe(EXIT.ok);
    expectShape('brokerAdd', JSON.parse(out));
    const [one, two] = await Promise.all([
      readConfiguration(directory, 'broker'),
      readConfiguration(other, 'broker'),
    ]);
    expect(two).toMatchObject({
      installation: one!.installation,
      instance: 'broker-2',
      busPort: one!.busPort,
      services: one!.services,
      buses: one!.buses,
      ledger: one!.ledger,
      keyRing: join(directory, 'broker', 'keys.json'),
    });
    const { session, ...signing } = two!.keys;
    expect(signing).toEqual({
      identity: one!.keys.identity,
      certifier: one!.keys.certifier,
      grant: one!.keys.grant,
    });
    expect(session).not.toEqual(one!.keys.session);
    expect(two!.enrolmentPort).not.toBe(one!.enrolmentPort);
    const believed = [one!, two!].map(({ keys }) => hex(loadKey(crypto, keys.session).publicKey.raw));
    expect((await trust('bridge')).brokers).toEqual(believed);
    expect((await trust('local')).brokers).toEqual(believed);
    expect((await stat(join(other, 'broker', 'config.json'))).mode & 0o077).toBe(0);
  });

  it('shares what is rolled later, and keeps every broker believed', async () => {
    await shareable();
    await add();
    await states('roll', 'grant', '--emergency');
    const shown = await runCommand(['key', 'list', '--data', other, '--json']);
    const mine = await run('key', 'list');
    expect(JSON.parse(shown.out)).toEqual(JSON.parse(mine.out));
    expect((await trust('bridge')).brokers).toHaveLength(2);
  });

  it('refuses where brokers could not share the work', async () => {
    const { code, out } = await add();
    expect(code).toBe(EXIT.data);
    expect(out).toContain('ledger');
  });

  it.each([
    ['its own name again', 'broker-1'],
    ['no name', '../x'],
  ])('refuses %s', async (_what, name) => {
    await shareable();
    expect((await add(name)).code).toBe(EXIT.data);
  });

  it('overwrites no broker', async () => {
    await shareable();
    await add();
    expect((await add('broker-3')).code).toBe(EXIT.cannotCreate);
  });
});
