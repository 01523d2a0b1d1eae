import { toCoPilotError } from '../../../protocol/errors.ts';
import type { Cancel, Clock, Log } from '../../../protocol/runtime/runtime.ts';

/** An attempt whose agent renewed its lease. */
export interface Beat {
  readonly job: string;
  readonly attempt: number;
  /** Between 0 and 1. */
  readonly progress: number;
  /** What the adapter put in the job. */
  readonly state: string;
}

/** Tells a framework at its own pace which attempts live, from what the broker says of leases. */
export interface Heartbeats {
  /** An attempt began or was renewed. One older than what is known of its job says nothing. */
  alive(beat: Beat): void;
  /** The attempt, or one before it, is over: nothing more is said of it. */
  ended(job: string, attempt: number): void;
  readonly size: number;
  /** Resolves when what is under way has been said. */
  stop(): Promise<void>;
}

export interface HeartbeatOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** From the begin of one round to the begin of the next; a round that takes longer puts the next off. */
  readonly everyMs: number;
  /** An attempt of which nothing was heard for so long is left out: its agent is gone, whatever the framework thinks. */
  readonly silentMs: number;
  /** Beats told at once. */
  readonly batch: number;
  /** Attempts that are kept; of more, that heard of longest ago is forgotten. */
  readonly most?: number;
  /** Tells the framework; what it rejects is told again in the next round. */
  readonly beat: (batch: readonly Beat[]) => Promise<void>;
}

const MOST = 100_000;

export function createHeartbeats(options: HeartbeatOptions): Heartbeats {
  const { clock, log, everyMs, silentMs, batch, most = MOST, beat } = options;
  const heard = new Map<string, { readonly beat: Beat; readonly ms: number }>();
  let isStopped = false;
  let cancel: Cancel = () => undefined;
  let round: Promise<void> = Promise.resolve();

  const forgetSilent = (): void => {
    const sinceMs = clock.monotonicMs() - silentMs;
    for (const [job, { ms }] of heard) if (ms < sinceMs) heard.delete(job);
  };
  const tellAll = async (): Promise<void> => {
    forgetSilent();
    const jobs = [...heard.keys()];
    for (let at = 0; at < jobs.length && !isStopped; at += batch) {
      // What ended since the round began is said no more.
      const beats = jobs.slice(at, at + batch).flatMap((job) => heard.get(job)?.beat ?? []);
      if (beats.length === 0) continue;
      await beat(beats).catch((caught: unknown) => {
        const { code } = toCoPilotError(caught);
        log.warn({ code, beats: beats.length }, 'the framework did not hear that jobs run');
      });
    }
  };
  const next = (delayMs: number): void => {
    cancel = clock.schedule(delayMs, () => {
      const fromMs = clock.monotonicMs();
      round = tellAll().then(() => {
        if (!isStopped) next(Math.max(0, everyMs - (clock.monotonicMs() - fromMs)));
      });
    });
  };
  next(everyMs);

  return {
    alive(news) {
      const known = heard.get(news.job);
      if (isStopped || (known !== undefined && known.beat.attempt > news.attempt)) return;
      heard.delete(news.job);
      heard.set(news.job, { beat: news, ms: clock.monotonicMs() });
      if (heard.size <= most) return;
      const [oldest] = heard.keys();
      if (oldest !== undefined) heard.delete(oldest);
    },
    ended(job, attempt) {
      const known = heard.get(job);
      if (known !== undefined && known.beat.attempt <= attempt) heard.delete(job);
    },
    get size() {
      return heard.size;
    },
    async stop() {
      isStopped = true;
      cancel();
      await round;
    },
  };
}
