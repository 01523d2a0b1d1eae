import type { BrokerProgramConfiguration } from '../../broker/program-configuration.ts';
import { DEFAULT_LIMITS } from '../../broker/service/configuration.ts';
import { base64url, hex, idOf } from '../../protocol/encoding.ts';
import type { Description, HostAd, Identity, NewJob } from '../../protocol/generated/types.ts';
import { loadKey, type StoredKey, storeKey } from '../../protocol/runtime/key-file.ts';
import { createCrypto, nodeRandom } from '../../protocol/runtime/node-runtime.ts';
import type { Crypto, PrivateKey } from '../../protocol/runtime/runtime.ts';
import { signIdentity } from '../../protocol/tokens.ts';

export const INSTALLATION = 'bench';
export const QUEUE = 'main';
export const HOST = '127.0.0.1';
export const INSTANCE = 'broker-1';

const NAMES = ['session', 'grant', 'certifier', 'jobs', 'storage', 'identity'] as const;
const KINDS = {
  session: 'x25519',
  grant: 'ed25519',
  certifier: 'ed25519',
  jobs: 'x25519',
  storage: 'x25519',
  identity: 'p256',
} as const;
const SERVICES = [
  { name: 'jobs', keyId: 1 },
  { name: 'storage', keyId: 2 },
] as const;
const HOUR_MS = 3_600_000;

export type ServiceName = (typeof SERVICES)[number]['name'];
export type StageKeys = Readonly<Record<(typeof NAMES)[number], PrivateKey>>;

/** Every secret of one installation, as it travels to the processes that play its parts. */
export interface Stage {
  readonly keys: Readonly<Record<(typeof NAMES)[number], StoredKey>>;
  readonly secrets: Readonly<Record<ServiceName, string>>;
}

export function createStage(): Stage {
  const crypto = createCrypto();
  const make = (name: (typeof NAMES)[number]): StoredKey => storeKey(crypto, crypto.generate(KINDS[name]));
  const secret = (): string => base64url(nodeRandom.bytes(24));
  return {
    keys: Object.fromEntries(NAMES.map((name) => [name, make(name)])) as Stage['keys'],
    secrets: { jobs: secret(), storage: secret() },
  };
}

export function stageKeys(crypto: Crypto, stage: Stage): StageKeys {
  return Object.fromEntries(NAMES.map((name) => [name, loadKey(crypto, stage.keys[name])])) as StageKeys;
}

export function keyIdOf(service: ServiceName): number {
  return SERVICES.find(({ name }) => name === service)?.keyId ?? 0;
}

/**
 * The broker of the demo but for three things: leases outlive a round of the benchmark, one connection may send as fast as it
 * can, and enough jobs are fetched ahead for a hundred agents whose jobs take no time.
 */
export function programConfiguration(stage: Stage, prefetch: number): BrokerProgramConfiguration {
  const keys = stageKeys(createCrypto(), stage);
  const { session, grant, certifier, identity } = stage.keys;
  return {
    installation: INSTALLATION,
    instance: INSTANCE,
    host: HOST,
    busPort: 0,
    buses: [{ kind: 'websocket' }],
    enrolmentPort: 0,
    keys: { session, grant, certifier, identity },
    services: SERVICES.map(({ name, keyId }) => ({
      name,
      keyId,
      key: hex(keys[name].publicKey.raw),
      secret: stage.secrets[name],
    })),
    queues: [
      {
        name: QUEUE,
        jobAdapter: 'jobs',
        storageAdapter: 'storage',
        maxLost: 20,
        prefetch,
        leaseMs: HOUR_MS,
        firstRenewMs: HOUR_MS,
      },
    ],
    limits: DEFAULT_LIMITS,
    sweepMs: 5_000,
    parkMs: 55_000,
    verdictWaitMs: 10_000,
    maxParked: 20_000,
    framesPerSecond: 100_000,
  };
}

/** What an agent has after its enrolment; each has an owner of its own. */
export function enrolAgent(crypto: Crypto, identityKey: PrivateKey, index: number) {
  const session = crypto.generate('x25519');
  const signing = crypto.generate('ed25519');
  const sig = base64url(signing.publicKey.raw);
  const iat = Math.floor(Date.now() / 1000);
  const sub = idOf((data) => crypto.sha256(data), sig);
  const claims: Identity = {
    iss: INSTALLATION,
    sub,
    owner: `owner-${index}`,
    site: 'bench',
    tier: 'untrusted',
    sig,
    kex: base64url(session.publicKey.raw),
    iat,
    exp: iat + 86_400,
  };
  return { agent: sub, session, signing, identity: signIdentity(crypto, identityKey, claims), claims };
}

export const HOST_AD: HostAd = { OpSys: 'LINUX', Arch: 'X86_64', Cpus: 4, MemoryMiB: 8192, DiskMiB: 100_000 };

/** A machine that the bench's jobs do not run on. */
export const IDLE_AD: HostAd = { ...HOST_AD, OpSys: 'OTHER' };

/** A small job: no inputs, one output file, a requirement to match. */
export const DESCRIPTION: Description = {
  command: 'node',
  arguments: ['generator.mjs', '--seed', '12345', '--events', '5000'],
  environment: { LANG: 'C' },
  inputs: [],
  outputs: [{ name: 'events.dat', maxBytes: 1_000_000 }],
  limits: { wallSeconds: 3600, memoryMiB: 512, diskMiB: 100 },
  requirements: 'other.OpSys == "linux"',
};

export function newJob(id: string): NewJob {
  return {
    job: id,
    ref: `z-boson/${id}`,
    owner: 'physicist',
    site: 'bench',
    campaign: 'z-boson',
    priority: 0,
    retries: 2,
    description: DESCRIPTION,
  };
}
