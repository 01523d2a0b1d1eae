import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import type { ConfirmChannel } from 'amqplib';
import { createBusAccess } from '../../broker/enrolment/bus-access.ts';
import type { AgentRow } from '../../broker/core/state.ts';
import { evictionPassword } from '../../broker/enrolment/eviction-login.ts';
import { createBusServer } from '../../broker/http/bus-routes.ts';
import { BROKER_USER, type RabbitListener, rabbitFiles } from '../../cli/rabbitmq/server-files.ts';
import { RABBIT_FOLDERS } from '../../cli/rabbitmq/node-environment.ts';
import { createAmqpAgentBus, type AmqpAgentBus } from '../../protocol/bindings/amqp-agent.ts';
import { type AmqpBrokerBus, createAmqpBrokerBus } from '../../protocol/bindings/amqp-broker.ts';
import { connectAmqp, type Credential } from '../../protocol/bindings/amqp-connect.ts';
import { closeConnections } from '../../protocol/bindings/amqp-eviction.ts';
import { createAmqpServiceBus } from '../../protocol/bindings/amqp-service.ts';
import { VIRTUAL_HOST } from '../../protocol/bindings/amqp-topology.ts';
import { BROKER_ADDRESS, type Bus } from '../../protocol/bindings/bus.ts';
import { base64url, idOf } from '../../protocol/encoding.ts';
import type { Identity } from '../../protocol/generated/types.ts';
import { createCrypto, nodeClock, nodeRandom } from '../../protocol/runtime/node-runtime.ts';
import type { Clock, PublicKey } from '../../protocol/runtime/runtime.ts';
import { signIdentity } from '../../protocol/tokens.ts';
import { isInstalled } from '../servers/server-process.ts';
import { type RabbitServer, startRabbit } from '../servers/rabbitmq.ts';
import type { StatusOf } from './bus-desk.ts';
import { makeCertificate } from './certificate.ts';
import { freePort } from './free-port.ts';
import { silentLog } from './silent-log.ts';
import { removeDirectory, temporaryDirectory } from './temporary-directory.ts';

/** Where it is missing outside CI, what needs it is left out; in CI nothing is. */
export const LACKS_RABBIT = process.env['CI'] !== 'true' && !isInstalled('rabbitmq-server', RABBIT_FOLDERS);

/** RabbitMQ as `co-pilot bus config rabbitmq` sets it up, asking the broker's own code about agents. */
export interface LockedRabbit {
  readonly server: RabbitServer;
  /** Without a user. */
  readonly url: string;
  /** An agent with an identity and, unless told otherwise, a queue. */
  agent(change?: Partial<Identity>): Credential;
  revoke(agent: string): void;
  /** What becomes of an agent is asked there from now on; undefined for the server's own list again. */
  judgeBy(statusOf: StatusOf | undefined): void;
  readonly identityKey: PublicKey;
  readonly managementUrl: string;
  /** Closes an agent's connections as a broker does. */
  evict(agent: string): Promise<number>;
  evictionPassword(agent: string): string;
  /** From now on the server is told that everybody may do everything, or again what is right. */
  unlock(isOpen: boolean): void;
  readonly brokerPassword: string;
  broker(options?: Partial<BusOptions>): AmqpBrokerBus;
  agentBus(agent: Credential, options?: Partial<BusOptions>): AmqpAgentBus;
  service(name: string, password?: string): Bus;
  /** Does something with the broker's rights. */
  asBroker<T>(act: (channel: ConfirmChannel) => Promise<T>): Promise<T>;
  stop(): Promise<void>;
}

interface BusOptions {
  readonly clock: Clock;
  readonly url: string;
  readonly instance: string;
  readonly framesPerSecond: number;
  readonly renewIdentity: () => Promise<void>;
}

export const SERVICE_PASSWORD = 'password of the storage adapter';
const BROKER_PASSWORD = 'password of the brokers';
const INSTALLATION = 'home';
const IDENTITY_SECONDS = 3600;

export async function openLockedRabbit({ withTls = false } = {}): Promise<LockedRabbit> {
  const directory = await temporaryDirectory('rabbitmq');
  const crypto = createCrypto();
  const identityKey = crypto.generate('p256');
  const revoked = new Set<string>();
  let statusOf: StatusOf | undefined;
  const brokers = new Set<AmqpBrokerBus>();
  let isOpen = false;
  const access = createBusAccess({
    runtime: { clock: nodeClock, crypto },
    installation: INSTALLATION,
    virtualHost: VIRTUAL_HOST,
    identityKey: identityKey.publicKey,
    agent: async (id) => (revoked.has(id) ? ({ status: 'revoked' } as AgentRow) : await statusOf?.(id)),
    connections: (user) => Math.max(0, ...[...brokers].map((broker) => broker.connections(user))),
  });
  const decisions = createBusServer({
    access: {
      mayLogIn: async (user, password) => isOpen || access.mayLogIn(user, password),
      mayEvict: (user, password) => access.mayEvict(user, password),
      mayEnter: async (user, virtualHost) => isOpen || access.mayEnter(user, virtualHost),
      mayUse: async (question) => isOpen || access.mayUse(question),
      mayPublish: async (question, key) => isOpen || access.mayPublish(question, key),
    },
    log: silentLog,
  });
  const decisionsUrl = await decisions.listen({ host: '127.0.0.1', port: 0 });
  const managementPort = await freePort();
  const managementUrl = `http://127.0.0.1:${managementPort}`;
  const folder = join(directory, 'node');
  const server = await startRabbit(folder, (port) =>
    rabbitFiles({
      directory: folder,
      listen: withTls ? tlsListener(folder, port) : { kind: 'plain', host: '127.0.0.1', port },
      decisionsUrl,
      managementPort,
      brokerPassword: BROKER_PASSWORD,
      servicePasswords: { storage: SERVICE_PASSWORD, other: `${SERVICE_PASSWORD} of another` },
      connections: 500,
    }),
  ).catch(async (caught: unknown) => {
    await decisions.close();
    throw caught;
  });
  const url = withTls ? `amqps://localhost:${server.port}` : `amqp://127.0.0.1:${server.port}`;
  const common = { url, clock: nodeClock, random: nodeRandom, log: silentLog };
  const brokerCredential = { user: BROKER_USER, password: BROKER_PASSWORD };
  const evictionOf = (agent: string) => evictionPassword({ crypto, clock: nodeClock }, identityKey, agent);
  let count = 0;

  return {
    server,
    url,
    agent(change = {}) {
      const sig = base64url(crypto.generate('ed25519').publicKey.raw);
      const iat = Math.floor(nodeClock.wallMs() / 1000);
      const claims: Identity = {
        iss: INSTALLATION,
        sub: idOf((data) => crypto.sha256(data), `co-pilot-agent-1\n${INSTALLATION}\n${sig}`),
        owner: 'somebody',
        site: 'home',
        tier: 'untrusted',
        sig,
        kex: base64url(crypto.generate('x25519').publicKey.raw),
        iat,
        exp: iat + IDENTITY_SECONDS,
        ...change,
      };
      return { user: claims.sub, password: signIdentity(crypto, identityKey, claims) };
    },
    managementUrl,
    evict: (agent) => closeConnections(managementUrl, { user: agent, password: evictionOf(agent) }),
    evictionPassword: evictionOf,
    revoke: (agent) => void revoked.add(agent),
    judgeBy: (judge) => void (statusOf = judge),
    identityKey: identityKey.publicKey,
    unlock: (open) => void (isOpen = open),
    brokerPassword: BROKER_PASSWORD,
    broker(options = {}) {
      const broker = createAmqpBrokerBus({
        ...common,
        credential: brokerCredential,
        instance: `broker-${++count}`,
        framesPerSecond: 10_000,
        ...options,
      });
      brokers.add(broker);
      return broker;
    },
    agentBus: ({ user, password }, options = {}) =>
      createAmqpAgentBus({
        ...common,
        agent: user,
        identity: () => password,
        renewIdentity: async () => undefined,
        ...options,
      }),
    service: (name, password = SERVICE_PASSWORD) =>
      createAmqpServiceBus({
        ...common,
        address: `service.${name}`,
        credential: { user: `service.${name}`, password },
      }),
    async asBroker(act) {
      const model = await connectAmqp(url, brokerCredential);
      try {
        const channel = await model.createConfirmChannel();
        return await act(channel);
      } finally {
        await model.close();
      }
    },
    async stop() {
      await server.stop();
      await decisions.close();
      await removeDirectory(directory);
    },
  };
}

/** With a certificate that is believed in this process from now on. */
function tlsListener(folder: string, port: number): RabbitListener {
  const { certificate, key } = makeCertificate(folder);
  setDefaultCACertificates([...getCACertificates('default'), readFileSync(certificate, 'utf8')]);
  return { kind: 'tls', host: '127.0.0.1', port, authority: certificate, certificate, key };
}

/** Between two tests: nothing waits at the shared entrance. */
export async function clearEntrance(rabbit: LockedRabbit): Promise<void> {
  await rabbit.asBroker(async (channel) => channel.purgeQueue(BROKER_ADDRESS).catch(() => undefined));
}
