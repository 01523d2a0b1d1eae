import { isAgentKey, AGENT_EXCHANGE } from '../../protocol/bindings/amqp-topology.ts';
import { agentAddress, isAgentName } from '../../protocol/bindings/parties.ts';
import type { PublicKey, Runtime } from '../../protocol/runtime/runtime.ts';
import { RateLimiter } from '../../protocol/session/rate-limiter.ts';
import { judgeIdentityBy } from '../../protocol/tokens.ts';
import type { AgentRow } from '../core/state.ts';
import type { Login } from './ended-logins.ts';
import { isEvictionPassword } from './eviction-login.ts';

export interface BusAccessOptions {
  readonly runtime: Pick<Runtime, 'clock' | 'crypto'>;
  readonly installation: string;
  readonly virtualHost: string;
  readonly identityKey: PublicKey;
  /** All keys whose identities count now, where that is more than one or may change. */
  readonly identityKeys?: () => readonly PublicKey[];
  readonly agent: (id: string) => Promise<AgentRow | undefined>;
  /** Connections that a user has open, as far as is known. */
  readonly connections: (user: string) => number;
  /** An agent is in. */
  readonly onLogin?: (user: string, login: Login) => void;
}

/** What a bus asks about one thing that a user wants to do. */
export interface BusQuestion {
  readonly user: string;
  readonly virtualHost: string;
  readonly resource: string;
  readonly name: string;
  readonly permission: string;
}

/** What agents may do on a bus whose server asks us. Adapters and brokers are users of the server's own. */
export interface BusAccess {
  /** The password is the agent's identity. */
  mayLogIn(user: string, password: string): Promise<boolean>;
  /** Whether it is a broker of ours, which is about to close the user's connections. */
  mayEvict(user: string, password: string): boolean;
  mayEnter(user: string, virtualHost: string): Promise<boolean>;
  mayUse(question: BusQuestion): Promise<boolean>;
  mayPublish(question: BusQuestion, routingKey: string): Promise<boolean>;
}

/** An agent needs one; the others are room for a connection that the server has not noticed to be dead. */
export const MAX_CONNECTIONS = 4;
/** Logins of one agent: a burst, then one more each interval. */
const LOGINS = { burst: 8, everyMs: 5_000 };

/** Publish to brokers in its own name, read its own queue: nothing else, whoever asks. */
export function createBusAccess(options: BusAccessOptions): BusAccess {
  const { runtime, installation } = options;
  const identityKeys = options.identityKeys ?? (() => [options.identityKey]);
  const limiter = new RateLimiter(LOGINS);

  async function isWelcome(user: string, virtualHost: string): Promise<boolean> {
    if (!isAgentName(user) || virtualHost !== options.virtualHost) return false;
    const row = await options.agent(user);
    return row?.status !== 'revoked' && row?.status !== 'quarantined';
  }

  return {
    async mayLogIn(user, password) {
      const nowMs = runtime.clock.wallMs();
      const { judged, signer } = judgeIdentityBy(runtime.crypto, identityKeys(), password, nowMs);
      if (
        judged.kind !== 'valid' ||
        signer === undefined ||
        judged.claims.sub !== user ||
        judged.claims.iss !== installation
      )
        return false;
      if (options.connections(user) >= MAX_CONNECTIONS) return false;
      const isIn =
        limiter.take(user, runtime.clock.monotonicMs()) && (await isWelcome(user, options.virtualHost));
      if (isIn) options.onLogin?.(user, { signer, endsSeconds: judged.claims.exp });
      return isIn;
    },
    mayEvict: (user, password) =>
      isAgentName(user) && identityKeys().some((key) => isEvictionPassword(runtime, key, user, password)),
    mayEnter: isWelcome,
    async mayUse({ user, virtualHost, resource, name, permission }) {
      const isOwn =
        (resource === 'exchange' && name === AGENT_EXCHANGE && permission === 'write') ||
        (resource === 'queue' && name === agentAddress(user) && permission === 'read');
      return isOwn && isWelcome(user, virtualHost);
    },
    async mayPublish({ user, virtualHost, name, permission }, routingKey) {
      const isOwn = name === AGENT_EXCHANGE && permission === 'write' && isAgentKey(routingKey, user);
      return isOwn && isWelcome(user, virtualHost);
    },
  };
}
