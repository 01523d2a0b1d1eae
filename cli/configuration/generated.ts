import { createServer } from 'node:net';
import { base64url, hex } from '../../protocol/encoding.ts';
import { loadKey, type StoredKey, storeKey } from '../../protocol/runtime/key-file.ts';
import { createCrypto, nodeRandom } from '../../protocol/runtime/node-runtime.ts';
import type { BrokerProgramConfiguration } from '../../broker/program-configuration.ts';
import type { Settings } from './settings.ts';

/** What is chosen once, at the first start, and never set by a person: each role keeps its own part in a 0600 file. */
export interface Generated {
  readonly broker: GeneratedBroker;
  readonly local: GeneratedAdapter;
  readonly bridge: GeneratedBridge;
}

export type GeneratedBroker = Pick<
  BrokerProgramConfiguration,
  'installation' | 'instance' | 'busPort' | 'enrolmentPort' | 'keys' | 'keyRing' | 'services'
> & {
  readonly pseudonymKey: string;
  /** The broker's password on a bus server; an installation that began without has none. */
  readonly busSecret?: string;
};

export interface GeneratedAdapter {
  readonly installation: string;
  readonly name: string;
  readonly key: StoredKey;
  readonly keyId: number;
  readonly brokers: readonly string[];
  /** Its port is what counts; a configured host or address goes before. */
  readonly busUrl: string;
  readonly busSecret: string;
  /** Makes owners' pseudonyms in logs, the same in every role. */
  readonly pseudonymKey: string;
}

export interface GeneratedBridge extends GeneratedAdapter {
  readonly port: number;
  readonly grantKey: string;
  readonly operatorToken: string;
}

type Keys<Part> = Readonly<Record<keyof Part, true>>;

const ADAPTER_KEYS: Keys<GeneratedAdapter> = {
  installation: true,
  name: true,
  key: true,
  keyId: true,
  brokers: true,
  busUrl: true,
  busSecret: true,
  pseudonymKey: true,
};

const KEYS: { readonly [Role in keyof Generated]: Keys<Generated[Role]> } = {
  broker: {
    installation: true,
    instance: true,
    busPort: true,
    enrolmentPort: true,
    keys: true,
    keyRing: true,
    services: true,
    pseudonymKey: true,
    busSecret: true,
  },
  local: ADAPTER_KEYS,
  bridge: { ...ADAPTER_KEYS, port: true, grantKey: true, operatorToken: true },
};

/** What stands in a part's own file and is not read from there. */
export function unreadKeys(role: keyof Generated, written: object): readonly string[] {
  return Object.keys(written).filter((key) => !Object.hasOwn(KEYS[role], key));
}

const NAME = 'home';

/** Makes keys and secrets, and chooses the ports that nobody named. `firstPort` is the first of three in a row. */
export async function generate({ host, ports }: Settings, firstPort: number | undefined): Promise<Generated> {
  const crypto = createCrypto();
  const keys = {
    session: crypto.generate('x25519'),
    grant: crypto.generate('ed25519'),
    certifier: crypto.generate('ed25519'),
    identity: crypto.generate('p256'),
    local: crypto.generate('x25519'),
    bridge: crypto.generate('x25519'),
  };
  const [freeBus, freeEnrolment, freeBridge] = await choosePorts(host, firstPort);
  const { bus = freeBus, enrolment = freeEnrolment, bridge = freeBridge } = ports;
  const secrets = { local: secret(), bridge: secret() };
  const pseudonymKey = secret();
  const adapter = (name: 'local' | 'bridge', keyId: number): GeneratedAdapter => ({
    installation: NAME,
    name,
    key: storeKey(crypto, keys[name]),
    keyId,
    brokers: [hex(keys.session.publicKey.raw)],
    busUrl: `ws://127.0.0.1:${bus}/bus`,
    busSecret: secrets[name],
    pseudonymKey,
  });
  return {
    broker: {
      installation: NAME,
      instance: 'broker-1',
      busPort: bus,
      enrolmentPort: enrolment,
      keys: {
        session: storeKey(crypto, keys.session),
        grant: storeKey(crypto, keys.grant),
        certifier: storeKey(crypto, keys.certifier),
        identity: storeKey(crypto, keys.identity),
      },
      services: (['local', 'bridge'] as const).map((name, index) => ({
        name,
        key: hex(keys[name].publicKey.raw),
        keyId: index + 1,
        secret: secrets[name],
      })),
      pseudonymKey,
      busSecret: secret(),
    },
    local: adapter('local', 1),
    bridge: {
      ...adapter('bridge', 2),
      port: bridge,
      grantKey: hex(keys.grant.publicKey.raw),
      operatorToken: secret(),
    },
  };
}

/** Key and secret of the adapter of a framework, for a broker that is there. */
export function generateFramework(
  { installation, busPort, pseudonymKey, keys }: GeneratedBroker,
  name: string,
  keyId: number,
): GeneratedAdapter {
  const crypto = createCrypto();
  return {
    installation,
    name,
    key: storeKey(crypto, crypto.generate('x25519')),
    keyId,
    brokers: [hex(loadKey(crypto, keys.session).publicKey.raw)],
    busUrl: `ws://127.0.0.1:${busPort}/bus`,
    busSecret: secret(),
    pseudonymKey,
  };
}

/** The public half of an adapter's key, as the broker knows it. */
export function publicKeyOf({ key }: Pick<GeneratedAdapter, 'key'>): string {
  return hex(loadKey(createCrypto(), key).publicKey.raw);
}

function secret(): string {
  return base64url(nodeRandom.bytes(24));
}

/** Three ports that nobody listens on, or three in a row from `first` on. */
export async function choosePorts(
  host: string,
  first: number | undefined,
): Promise<readonly [number, number, number]> {
  if (first !== undefined) return [first, first + 1, first + 2];
  const [bus = 0, enrolment = 0, bridge = 0] = await freePorts(host, 3);
  return [bus, enrolment, bridge];
}

/** As many ports as are asked for, each another one, which nobody uses now. */
export async function freePorts(host: string, count: number): Promise<readonly number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => freePort(host)));
  await Promise.all(servers.map(({ release }) => release()));
  return servers.map(({ port }) => port);
}

/** A port nobody uses; held until released, so that several differ. */
function freePort(host: string): Promise<{ readonly port: number; readonly release: () => Promise<void> }> {
  return new Promise((found, failed) => {
    const server = createServer();
    server.once('error', failed);
    server.listen(0, host, () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      found({ port, release: () => new Promise((closed) => server.close(() => closed())) });
    });
  });
}
