import type { Cancel, Clock, PublicKey } from '../../protocol/runtime/runtime.ts';
import { CLOCK_TOLERANCE_SECONDS } from '../../protocol/tokens.ts';

const LOOK_MS = 10_000;
/** Logins remembered; beyond, the oldest is forgotten. */
const MAX_LOGINS = 65_536;

/** By which identity an agent is on the bus. */
export interface Login {
  readonly endsSeconds: number;
  /** Whose signature the identity has. */
  readonly signer: PublicKey;
}

/** Agents whose identity ended after they logged in: an agent that renewed logs in again, or is made to. */
export interface EndedLogins {
  loggedIn(agent: string, login: Login): void;
  stop(): void;
}

/** Calls `ended` once for each login that nothing newer followed, when its time is over or its signer's word counts no more. */
export function createEndedLogins(
  clock: Clock,
  isAccepted: (signer: PublicKey) => boolean,
  ended: (agent: string) => void,
): EndedLogins {
  const logins = new Map<string, Login>();
  let cancel: Cancel | undefined;

  function look(): void {
    cancel = undefined;
    const now = clock.wallMs() / 1000;
    for (const [agent, { endsSeconds, signer }] of logins) {
      if (now <= endsSeconds + CLOCK_TOLERANCE_SECONDS && isAccepted(signer)) continue;
      logins.delete(agent);
      ended(agent);
    }
    lookLater();
  }

  function lookLater(): void {
    if (logins.size > 0) cancel ??= clock.schedule(LOOK_MS, look);
  }

  return {
    loggedIn(agent, login) {
      const before = logins.get(agent);
      const isOlder =
        before !== undefined && before.endsSeconds > login.endsSeconds && isAccepted(before.signer);
      logins.delete(agent);
      logins.set(agent, isOlder ? before : login);
      const [oldest] = logins.keys();
      if (logins.size > MAX_LOGINS && oldest !== undefined) logins.delete(oldest);
      lookLater();
    },
    stop() {
      cancel?.();
      logins.clear();
    },
  };
}
