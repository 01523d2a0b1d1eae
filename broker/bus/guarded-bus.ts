import { VIRTUAL_HOST } from '../../protocol/bindings/amqp-topology.ts';
import type { Bus } from '../../protocol/bindings/bus.ts';
import { refuseLeaks } from '../../protocol/bindings/lock-down.ts';
import { toCoPilotError } from '../../protocol/errors.ts';
import type { Runtime } from '../../protocol/runtime/runtime.ts';
import { checkBus, type CheckedServer } from '../bus-check.ts';
import { createBusAccess } from '../enrolment/bus-access.ts';
import { createEndedLogins, type EndedLogins } from '../enrolment/ended-logins.ts';
import { createBusServer } from '../http/bus-routes.ts';
import { listen } from '../http/listen.ts';
import { explainConflict, isShared } from './other-brokers.ts';
import type { ProgramBusOptions } from './program-bus.ts';

const LOOPBACK = '127.0.0.1';
/** Brokers of one machine answer the server at one port, so that it is answered while any of them runs. */
const CAN_SHARE_PORTS = process.platform === 'linux';

export interface Guarded {
  readonly bus: Bus;
  /** Where the server asks; the port of the bus where it is left out. */
  readonly accessPort: number | undefined;
  readonly server: CheckedServer;
  /** Connections that an agent has open, as far as is known. */
  readonly connections: (user: string) => number;
  readonly evict: (agent: string) => Promise<void>;
  /** Rejects with `INVALID_CONFIGURATION` where the server does not do what the broker will ask of it. */
  readonly prove?: () => Promise<unknown>;
}

/** Answers the server's questions while the bus is up, and hands over no frame before the bus has passed its check. */
export function guarded(options: ProgramBusOptions, parts: Guarded): Bus {
  const { bus, accessPort, server, connections, evict, prove } = parts;
  const { runtime, configuration, keys, agent } = options;
  const { installation, busPort } = configuration;
  const logins = endedLogins(options, evict);
  const access = createBusAccess({
    runtime,
    installation,
    virtualHost: VIRTUAL_HOST,
    identityKey: keys.identity().publicKey,
    identityKeys: () => keys.identities(),
    agent,
    connections,
    onLogin: (user, login) => logins.loggedIn(user, login),
  });
  const decisions = createBusServer({ access, log: runtime.log });
  let isChecked = false;
  return {
    ...bus,
    async start() {
      await listen(decisions, LOOPBACK, accessPort ?? busPort, isShared(configuration) && CAN_SHARE_PORTS);
      await bus.start().catch(explainConflict);
      refuseLeaks(await checkBus({ runtime, installation, identityKey: keys.identity(), server }));
      await prove?.();
      isChecked = true;
    },
    onFrame(handler) {
      bus.onFrame((from, frame) => (isChecked ? handler(from, frame) : undefined));
    },
    async stop() {
      logins.stop();
      await bus.stop();
      await decisions.close();
    },
  };
}

/** Closes connections whose identity has ended or is believed no more. */
function endedLogins(
  { runtime, keys }: ProgramBusOptions,
  evict: (agent: string) => Promise<void>,
): EndedLogins {
  return createEndedLogins(
    runtime.clock,
    (signer) => keys.identities().includes(signer),
    (agent) => {
      evict(agent).catch((caught: unknown) =>
        runtime.log.warn({ agent, errorCode: toCoPilotError(caught).code }, 'a login outlives its identity'),
      );
    },
  );
}

/** Says so where an agent had any. */
export function logClosed({ log }: Runtime, agent: string, closed: number): void {
  if (closed > 0) log.info({ agent, closed }, 'connections of an agent were closed');
}
