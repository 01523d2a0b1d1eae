import type { Cancel, Clock } from '../../protocol/runtime/runtime.ts';
import { CLOCK_TOLERANCE_SECONDS } from '../../protocol/tokens.ts';

const LOOK_MS = 10_000;
/** Logins remembered; beyond, the oldest is forgotten. */
const MAX_LOGINS = 65_536;

/** Agents whose identity ended after they logged in: an agent that renewed logs in again, or is made to. */
export interface EndedLogins {
  loggedIn(agent: string, endsSeconds: number): void;
  stop(): void;
}

/** Calls `ended` once for each login that nothing newer followed. */
export function createEndedLogins(clock: Clock, ended: (agent: string) => void): EndedLogins {
  const ends = new Map<string, number>();
  let cancel: Cancel | undefined;

  function look(): void {
    cancel = undefined;
    const now = clock.wallMs() / 1000;
    for (const [agent, endsSeconds] of ends) {
      if (now <= endsSeconds + CLOCK_TOLERANCE_SECONDS) continue;
      ends.delete(agent);
      ended(agent);
    }
    lookLater();
  }

  function lookLater(): void {
    if (ends.size > 0) cancel ??= clock.schedule(LOOK_MS, look);
  }

  return {
    loggedIn(agent, endsSeconds) {
      const latest = Math.max(endsSeconds, ends.get(agent) ?? 0);
      ends.delete(agent);
      ends.set(agent, latest);
      const [oldest] = ends.keys();
      if (ends.size > MAX_LOGINS && oldest !== undefined) ends.delete(oldest);
      lookLater();
    },
    stop() {
      cancel?.();
      ends.clear();
    },
  };
}
