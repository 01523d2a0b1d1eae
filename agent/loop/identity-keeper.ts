import { toCoPilotError } from '../../protocol/errors.ts';
import type { Cancel, Clock, Log, Random } from '../../protocol/runtime/runtime.ts';
import { backOffMs } from './wait.ts';

export interface IdentityKeeperOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Seconds the present identity lived when it was got, and how long ago that was. */
  readonly lifeSeconds: number;
  readonly ageSeconds: number;
  /** Renews it and answers with the life of the new one. */
  readonly renew: () => Promise<number>;
  readonly onRenewed: () => void;
}

/** Keeps the identity young. */
export interface IdentityKeeper {
  /** Renews now; at most one renewal is under way. Rejects as `renew` does. */
  renewNow(): Promise<void>;
  stop(): void;
}

/** At this part of its life an identity is renewed, which leaves the rest for trying again. */
const RENEW_AT = 2 / 3;
const FIRST_RETRY_MS = 5_000;
const LONGEST_RETRY_MS = 600_000;
/** Timers over days would not notice that the machine slept. */
const LONGEST_WAIT_MS = 3_600_000;

export function createIdentityKeeper(options: IdentityKeeperOptions): IdentityKeeper {
  const { clock, random, log, renew, onRenewed } = options;
  let dueWallMs = clock.wallMs() + (options.lifeSeconds * RENEW_AT - options.ageSeconds) * 1000;
  let tries = 0;
  let underWay: Promise<void> | undefined;
  let isStopped = false;
  let cancel: Cancel = () => undefined;

  function arm(delayMs: number): void {
    cancel();
    if (!isStopped) cancel = clock.schedule(Math.min(delayMs, LONGEST_WAIT_MS), look);
  }

  function look(): void {
    const leftMs = dueWallMs - clock.wallMs();
    if (leftMs > 0) arm(leftMs);
    else void renewNow().catch(() => undefined); // logged, and tried again
  }

  async function renewOnce(): Promise<void> {
    try {
      const lifeSeconds = await renew();
      tries = 0;
      dueWallMs = clock.wallMs() + lifeSeconds * RENEW_AT * 1000;
      arm(dueWallMs - clock.wallMs());
      onRenewed();
    } catch (caught) {
      log.warn({ errorCode: toCoPilotError(caught).code }, 'the identity was not renewed; trying again');
      arm(backOffMs(random, tries++, FIRST_RETRY_MS, LONGEST_RETRY_MS));
      throw caught;
    }
  }

  function renewNow(): Promise<void> {
    underWay ??= renewOnce().finally(() => {
      underWay = undefined;
    });
    return underWay;
  }

  arm(Math.max(0, dueWallMs - clock.wallMs()));
  return {
    renewNow,
    stop() {
      isStopped = true;
      cancel();
    },
  };
}
