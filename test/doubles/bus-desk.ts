import type { AddressInfo } from 'node:net';
import type { AgentRow } from '../../broker/core/state.ts';
import { createBusAccess } from '../../broker/enrolment/bus-access.ts';
import { createBusServer } from '../../broker/http/bus-routes.ts';
import { VIRTUAL_HOST } from '../../protocol/bindings/amqp-topology.ts';
import { base64url, idOf } from '../../protocol/encoding.ts';
import type { Identity } from '../../protocol/generated/types.ts';
import { createCrypto, nodeClock } from '../../protocol/runtime/node-runtime.ts';
import type { PrivateKey } from '../../protocol/runtime/runtime.ts';
import { signIdentity } from '../../protocol/tokens.ts';
import { silentLog } from './silent-log.ts';

export interface AgentLogin {
  readonly user: string;
  readonly password: string;
}

/** What a broker's ledger knows of an agent. */
export type StatusOf = (agent: string) => Promise<AgentRow | undefined>;

/** What a bus server asks about agents, answered by the broker's own code, and agents to ask about. */
export interface BusDesk {
  readonly url: string;
  agent(change?: Partial<Identity>): AgentLogin;
  revoke(agent: string): void;
  /** What becomes of an agent is asked there from now on; undefined for the desk's own list again. */
  judgeBy(statusOf: StatusOf | undefined): void;
  /** Those whose identities count, the one that signs first. */
  readonly identityKeys: readonly PrivateKey[];
  /** Another key signs from now on; what the one before signed counts until `dropFormerKeys`. */
  rollIdentityKey(): void;
  dropFormerKeys(): void;
  /** Does not answer from now on, until it is opened again. */
  close(): Promise<void>;
  open(): Promise<void>;
}

const INSTALLATION = 'home';
const IDENTITY_SECONDS = 3600;

export async function openBusDesk(): Promise<BusDesk> {
  const crypto = createCrypto();
  let identityKeys: readonly [PrivateKey, ...PrivateKey[]] = [crypto.generate('p256')];
  const revoked = new Set<string>();
  let statusOf: StatusOf | undefined;
  const listen = async (port: number) => {
    const server = createBusServer({
      access: createBusAccess({
        runtime: { clock: nodeClock, crypto },
        installation: INSTALLATION,
        virtualHost: VIRTUAL_HOST,
        identityKey: identityKeys[0].publicKey,
        identityKeys: () => identityKeys.map(({ publicKey }) => publicKey),
        agent: async (id) => (revoked.has(id) ? ({ status: 'revoked' } as AgentRow) : await statusOf?.(id)),
        connections: () => 0,
      }),
      log: silentLog,
    });
    await server.listen({ host: '127.0.0.1', port });
    return server;
  };
  let server = await listen(0);
  const { port } = server.server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
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
      return { user: claims.sub, password: signIdentity(crypto, identityKeys[0], claims) };
    },
    get identityKeys() {
      return identityKeys;
    },
    rollIdentityKey: () => void (identityKeys = [crypto.generate('p256'), ...identityKeys]),
    dropFormerKeys: () => void (identityKeys = [identityKeys[0]]),
    revoke: (agent) => void revoked.add(agent),
    judgeBy: (judge) => void (statusOf = judge),
    close: () => server.close(),
    async open() {
      server = await listen(port);
    },
  };
}
