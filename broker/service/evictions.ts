import type { Address } from '../../protocol/bindings/bus.ts';
import type { ErrorCode } from '../../protocol/errors.ts';
import { toCoPilotError } from '../../protocol/errors.ts';
import type { Cancel, Clock, Log } from '../../protocol/runtime/runtime.ts';

/** Closes connections of an agent: all that the bus knows to be its own, and those at these addresses. */
export type Evict = (agent: string, addresses: readonly Address[]) => Promise<void>;

/** Closes the connections of agents that are not served any more. */
export interface Evictions {
  /** A moment later, so that a last word arrives. */
  evict(agent: string, address?: Address): void;
  stop(): void;
}

/**
 * How long a last word may take; when it is looked at again, since a server may learn late of a connection that was just made; and
 * how long one is left alone that could not do it.
 */
const PAUSES_MS = [500, 5_000, 10_000, 60_000];
const SECOND_LOOK = 1;
/** Agents that wait; beyond, the connection stays until somebody ends it, and nothing that comes over it is heard. */
const MAX_WAITING = 10_000;

/** Codes after which an agent has no business on the bus. */
const ENDS_CONNECTIONS = new Set<ErrorCode>(['REVOKED', 'QUARANTINED', 'BANNED', 'IDENTITY_EXPIRED']);

/** Whether an agent that was sent away so has its connections closed. */
export function endsConnections(code: ErrorCode): boolean {
  return ENDS_CONNECTIONS.has(code);
}

export function createEvictions({
  clock,
  log,
  evict,
  isServed,
}: {
  readonly clock: Clock;
  readonly log: Log;
  /** Undefined where the bus cannot. */
  readonly evict: Evict | undefined;
  /** It may have come again, with an identity that is good; a handshake alone shows nothing. */
  readonly isServed: (agent: string) => boolean;
}): Evictions {
  const waiting = new Map<string, { readonly addresses: Set<Address>; readonly cancel: Cancel }>();
  let isStopped = false;

  function later(agent: string, addresses: Set<Address>, tries: number): void {
    const pauseMs = PAUSES_MS[tries];
    if (pauseMs === undefined || isStopped) return;
    const cancel = clock.schedule(pauseMs, () => {
      waiting.delete(agent);
      void act(agent, addresses, tries);
    });
    waiting.set(agent, { addresses, cancel });
  }

  async function act(agent: string, addresses: Set<Address>, tries: number): Promise<void> {
    if (isServed(agent)) return;
    try {
      await evict?.(agent, [...addresses]);
      if (tries < SECOND_LOOK && !waiting.has(agent)) later(agent, addresses, SECOND_LOOK);
    } catch (caught) {
      const { code, message } = toCoPilotError(caught);
      log.warn({ agent, errorCode: code, reason: message }, 'its connections to the bus could not be closed');
      if (!waiting.has(agent)) later(agent, addresses, tries + 1);
    }
  }

  return {
    evict(agent, address) {
      if (evict === undefined || isStopped) return;
      const found = waiting.get(agent);
      if (found === undefined && waiting.size >= MAX_WAITING) return;
      const addresses = found?.addresses ?? new Set<Address>();
      if (address !== undefined) addresses.add(address);
      if (found === undefined) later(agent, addresses, 0);
    },
    stop() {
      isStopped = true;
      for (const { cancel } of waiting.values()) cancel();
      waiting.clear();
    },
  };
}
