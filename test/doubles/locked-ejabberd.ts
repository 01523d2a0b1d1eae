import { join } from 'node:path';
import type { AgentRow } from '../../broker/core/state.ts';
import { createBusAccess } from '../../broker/enrolment/bus-access.ts';
import { throwAwayAgent } from '../../broker/enrolment/throw-away-agent.ts';
import { createBusServer } from '../../broker/http/bus-routes.ts';
import { ejabberdFiles } from '../../cli/ejabberd/server-files.ts';
import { VIRTUAL_HOST } from '../../protocol/bindings/amqp-topology.ts';
import { createCrypto, nodeClock } from '../../protocol/runtime/node-runtime.ts';
import { type EjabberdServer, startEjabberd } from '../servers/ejabberd.ts';
import { freePort } from './free-port.ts';
import type { RawLogin } from './raw-xmpp.ts';
import { silentLog } from './silent-log.ts';
import { removeDirectory, temporaryDirectory } from './temporary-directory.ts';

export const DOMAIN = 'copilot.test';
/** Components by what they are. */
export const COMPONENTS = {
  entrance: { name: `broker.${DOMAIN}`, password: 'password of the brokers' },
  instance: { name: `broker-1.broker.${DOMAIN}`, password: 'password of the brokers' },
  storage: { name: `storage.service.${DOMAIN}`, password: 'password of the storage adapter' },
  local: { name: `local.service.${DOMAIN}`, password: 'password of the queue' },
} as const;

/** ejabberd as we set it up, asking the broker's own code about agents. */
export interface LockedEjabberd {
  readonly server: EjabberdServer;
  readonly directory: string;
  agent(): RawLogin;
  /** Of another installation, and one that nobody of ours has signed. */
  strangers(): readonly RawLogin[];
  revoke(agent: string): void;
  /** The broker goes, and comes back. */
  closeDecisions(): Promise<void>;
  openDecisions(): Promise<void>;
  /** From the next start of the broker on, identities are signed with another key. */
  rotateKey(): void;
  stop(): Promise<void>;
}

export async function openLockedEjabberd(): Promise<LockedEjabberd> {
  const directory = await temporaryDirectory('ejabberd');
  const crypto = createCrypto();
  const runtime = { clock: nodeClock, crypto };
  const revoked = new Set<string>();
  const port = await freePort();
  let identityKey = crypto.generate('p256');
  const serve = async () => {
    const access = createBusAccess({
      runtime,
      installation: 'home',
      virtualHost: VIRTUAL_HOST,
      identityKey: identityKey.publicKey,
      agent: async (id) => (revoked.has(id) ? ({ status: 'revoked' } as AgentRow) : undefined),
      connections: () => 0,
    });
    const decisions = createBusServer({ access, log: silentLog });
    await decisions.listen({ host: '127.0.0.1', port });
    return decisions;
  };
  let decisions = await serve();
  const { entrance, instance, storage, local } = COMPONENTS;
  const server = await startEjabberd(join(directory, 'node'), ({ agents, components }) =>
    ejabberdFiles({
      domain: DOMAIN,
      listen: { kind: 'plain', host: '127.0.0.1', port: agents },
      componentPort: components,
      decisionsUrl: `http://127.0.0.1:${port}`,
      brokers: { [entrance.name]: entrance.password, [instance.name]: instance.password },
      adapters: { [storage.name]: storage.password, [local.name]: local.password },
    }),
  ).catch(async (caught: unknown) => {
    await decisions.close();
    throw caught;
  });
  return {
    server,
    directory,
    agent: () => throwAwayAgent(runtime, 'home', identityKey),
    strangers: () => [
      throwAwayAgent(runtime, 'elsewhere', identityKey),
      throwAwayAgent(runtime, 'home', crypto.generate('p256')),
    ],
    revoke: (agent) => void revoked.add(agent),
    closeDecisions: () => decisions.close(),
    async openDecisions() {
      decisions = await serve();
    },
    rotateKey: () => void (identityKey = crypto.generate('p256')),
    async stop() {
      await server.stop();
      await decisions.close();
      await removeDirectory(directory);
    },
  };
}
