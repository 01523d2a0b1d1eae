import { createHash } from 'node:crypto';
import { chmod, mkdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { AdapterConfiguration } from '../adapters/adapter-configuration.ts';
import type { LocalConfiguration } from '../adapters/jobs/local/local-configuration.ts';
import type { BridgeConfiguration } from '../adapters/storage/bridge/main.ts';
import { syncDirectory, writeDurably } from '../agent/store/durable-file.ts';
import type { BrokerProgramConfiguration } from '../broker/program-configuration.ts';
import { DEFAULT_LIMITS } from '../broker/service/configuration.ts';
import { base64url, hex } from '../protocol/encoding.ts';
import { CoPilotError } from '../protocol/errors.ts';
import { storeKey } from '../protocol/runtime/key-file.ts';
import { createCrypto, nodeRandom } from '../protocol/runtime/node-runtime.ts';
import type { Crypto, PrivateKey } from '../protocol/runtime/runtime.ts';

/** The programs of one machine's installation that hold secrets, each in a directory of its own. */
export type Role = 'broker' | 'local' | 'bridge';

export const ROLES: readonly Role[] = ['broker', 'local', 'bridge'];

export interface RoleConfigurations {
  readonly broker: BrokerProgramConfiguration;
  readonly local: LocalConfiguration;
  readonly bridge: BridgeConfiguration;
}

/** Where everything of an installation on one machine lies. */
export interface Installation {
  readonly directory: string;
  readonly configurations: RoleConfigurations;
}

export interface InstallationOptions {
  readonly directory: string;
  readonly host?: string;
  /** The first of three ports in a row: bus, enrolment, bridge. Free ones are chosen where it is left out. */
  readonly port?: number;
}

const NAME = 'home';
const MAIN_QUEUE = 'main';
/** Short leases, so that a person who watches sees lost attempts leased again. */
const DEMO_QUEUE = 'demo';
const SWEEP_MS = 1000;
const GIBIBYTE = 1024 ** 3;
const MAX_SOCKET_PATH = 100;

/** Directory of one role: 0700, entered by nobody but its program. */
export function roleDirectory(directory: string, role: Role): string {
  return join(directory, role);
}

/** The socket a role is controlled by; in a directory of its own under the system's temporary one where the path would be too long. */
export function controlSocket(directory: string, role: Role): string {
  const near = join(roleDirectory(directory, role), 'control.sock');
  if (Buffer.byteLength(near) <= MAX_SOCKET_PATH) return near;
  const digest = createHash('sha256').update(resolve(directory)).digest('hex').slice(0, 16);
  return join(tmpdir(), `co-pilot-${process.getuid?.() ?? 0}-${digest}-${role}`, 'control.sock');
}

/** Reads an installation, or makes one: keys, secrets and ports are chosen once and kept. */
export async function openInstallation(options: InstallationOptions): Promise<Installation> {
  const directory = resolve(options.directory);
  const known = await readInstallation(directory);
  if (known !== undefined) return withPort(known, options.port);
  await makeDirectory(directory, 0o755);
  const configurations = await newConfigurations(options);
  for (const role of ROLES) await writeConfiguration(directory, role, configurations[role]);
  return { directory, configurations };
}

/** Agents that enrolled know where the bus is: an installation keeps the ports it was made with. */
function withPort(known: Installation, port: number | undefined): Installation {
  const { busPort } = known.configurations.broker;
  if (port === undefined || port === busPort) return known;
  throw new CoPilotError(
    'INVALID_REQUEST',
    `the installation in ${known.directory} has its ports already, from ${busPort} on; start another with --data, or leave --port out`,
  );
}

/** Undefined where there is none, or one whose making was cut short. */
export async function readInstallation(directory: string): Promise<Installation | undefined> {
  const [broker, local, bridge] = await Promise.all([
    readConfiguration<BrokerProgramConfiguration>(directory, 'broker'),
    readConfiguration<AdapterConfiguration>(directory, 'local'),
    readConfiguration<BridgeConfiguration>(directory, 'bridge'),
  ]);
  if (broker === undefined || local === undefined || bridge === undefined) return undefined;
  return { directory, configurations: { broker, local, bridge } };
}

/** Configuration of one role; undefined where it is not there. Throws `INVALID_CONFIGURATION` where it cannot be read. */
export async function readConfiguration<T>(directory: string, role: Role): Promise<T | undefined> {
  const path = join(roleDirectory(directory, role), 'config.json');
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T; // written by us, readable by this user alone
  } catch (caught) {
    if (caught instanceof Error && 'code' in caught && caught.code === 'ENOENT') return undefined;
    throw new CoPilotError(
      'INVALID_CONFIGURATION',
      `${path} cannot be read; restore it, or start in another directory with --data`,
      {
        cause: caught,
      },
    );
  }
}

async function writeConfiguration(directory: string, role: Role, configuration: object): Promise<void> {
  await makeDirectory(roleDirectory(directory, role), 0o700);
  const path = join(roleDirectory(directory, role), 'config.json');
  await writeDurably(path, `${JSON.stringify(configuration, null, 2)}\n`);
  await makeDirectory(dirname(controlSocket(directory, role)), 0o700);
}

/** With its parents; what it made is there after a power cut too. */
async function makeDirectory(path: string, mode: number): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode });
  await chmod(path, mode);
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) await syncDirectory(dirname(made));
}

async function newConfigurations(options: InstallationOptions): Promise<RoleConfigurations> {
  const crypto = createCrypto();
  const keys = {
    session: crypto.generate('x25519'),
    grant: crypto.generate('ed25519'),
    certifier: crypto.generate('ed25519'),
    identity: crypto.generate('p256'),
    local: crypto.generate('x25519'),
    bridge: crypto.generate('x25519'),
  };
  const host = options.host ?? '127.0.0.1';
  const [busPort, enrolmentPort, bridgePort] = await choosePorts(host, options.port);
  const secrets = { local: secret(), bridge: secret() };
  const log = { pseudonymKey: secret() };
  const adapter = (name: 'local' | 'bridge', keyId: number): AdapterConfiguration => ({
    installation: NAME,
    name,
    key: storeKey(crypto, keys[name]),
    keyId,
    brokers: [hex(keys.session.publicKey.raw)],
    busUrl: `ws://${host}:${busPort}/bus`,
    busSecret: secrets[name],
    log,
  });
  return {
    broker: { ...brokerConfiguration(crypto, keys, { host, busPort, enrolmentPort, secrets }), log },
    local: adapter('local', 1),
    bridge: {
      ...adapter('bridge', 2),
      host,
      port: bridgePort,
      grantKey: hex(keys.grant.publicKey.raw),
      operatorToken: secret(),
      ceiling: {
        maxFileBytes: 64 * GIBIBYTE,
        maxAttemptBytes: 128 * GIBIBYTE,
        maxTotalBytes: 1024 * GIBIBYTE,
        maxCapabilitySeconds: 900,
        verbs: ['get', 'put'],
      },
    },
  };
}

type Keys = Readonly<Record<'session' | 'grant' | 'certifier' | 'identity' | 'local' | 'bridge', PrivateKey>>;

interface Places {
  readonly host: string;
  readonly busPort: number;
  readonly enrolmentPort: number;
  readonly secrets: Readonly<Record<'local' | 'bridge', string>>;
}

function brokerConfiguration(crypto: Crypto, keys: Keys, places: Places): BrokerProgramConfiguration {
  const { host, busPort, enrolmentPort, secrets } = places;
  const queue = { jobAdapter: 'local', storageAdapter: 'bridge', maxLost: 20, prefetch: 64 };
  return {
    installation: NAME,
    instance: 'broker-1',
    host,
    busPort,
    enrolmentPort,
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
    queues: [
      { ...queue, name: MAIN_QUEUE, leaseMs: 900_000, firstRenewMs: 60_000 },
      { ...queue, name: DEMO_QUEUE, leaseMs: 10_000, firstRenewMs: 5_000 },
    ],
    limits: DEFAULT_LIMITS,
    sweepMs: SWEEP_MS,
    parkMs: 55_000,
    verdictWaitMs: 2_000,
    maxParked: 20_000,
    framesPerSecond: 200,
  };
}

function secret(): string {
  return base64url(nodeRandom.bytes(24));
}

async function choosePorts(
  host: string,
  first: number | undefined,
): Promise<readonly [number, number, number]> {
  if (first !== undefined) return [first, first + 1, first + 2];
  const servers = await Promise.all([freePort(host), freePort(host), freePort(host)]);
  await Promise.all(servers.map(({ release }) => release()));
  const [bus, enrolment, bridge] = servers.map(({ port }) => port);
  return [bus ?? 0, enrolment ?? 0, bridge ?? 0];
}

/** A port nobody uses; held until released, so that three in a row differ. */
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
