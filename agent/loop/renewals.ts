import type { Attempt, Renew, Renewed, RenewLeases } from '../../protocol/generated/types.ts';
import type { Cancel, Clock, Log, Random } from '../../protocol/runtime/runtime.ts';
import { attemptKey } from '../store/store.ts';
import type { KeptLease } from '../store/store.ts';
import type { Answer } from './asks.ts';
import { Holding } from './holding.ts';
import type { Body } from './link.ts';
import type { Verdicts } from './verdicts.ts';
import { backOffMs, jittered } from './wait.ts';

/** Leases one renewal carries; slots are fewer. */
const MAX_LEASES = 64;
/** With nothing to renew the broker is asked for verdicts after this time, doubling up to the longest. */
const FIRST_VERDICT_POLL_MS = 2_000;
const LONGEST_VERDICT_POLL_MS = 60_000;

export interface RenewalsOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly verdicts: Verdicts;
  readonly renew: (body: Body<Renew>, withinMs: number) => Promise<Answer<Renewed>>;
  /** The broker wants this agent to take no new work. */
  readonly onDrain: () => void;
}

/** Keeps every lease of the agent alive with one message for all, and stops what the broker no longer counts as ours. */
export class Renewals {
  readonly #options: RenewalsOptions;
  readonly #holdings = new Map<string, Holding>();
  #cancelTimer: Cancel = () => undefined;
  #verdictPolls = 0;
  #closed = false;

  constructor(options: RenewalsOptions) {
    this.#options = options;
  }

  get holdings(): readonly Holding[] {
    return [...this.#holdings.values()];
  }

  find(attempt: Attempt): Holding | undefined {
    return this.#holdings.get(attemptKey(attempt));
  }

  /**
   * A lease begins. The first renewal is due at half its time: a job shorter than that costs no message of its own.
   * `resumed`: the broker has not heard of it for a while, so it is renewed at once.
   */
  hold(lease: KeptLease, resumed: boolean): Holding {
    const firstMs = Math.min(lease.firstRenewSeconds / 2, lease.leaseSeconds / 3) * 1000;
    const holding = new Holding(lease, this.#options.clock.monotonicMs() + (resumed ? 0 : firstMs));
    this.#holdings.set(holding.key, holding);
    this.#arm();
    return holding;
  }

  drop(holding: Holding): void {
    holding.live = false;
    if (this.#holdings.get(holding.key) === holding) this.#holdings.delete(holding.key);
    this.#verdictPolls = 0;
    this.#arm();
  }

  /** Renews everything now: the broker asked for it. */
  renewNow(): void {
    void this.#renew();
  }

  /** Renews what there is: on a new session nobody knows what the last one still carried. */
  renewAnything(): void {
    if (this.#live().length > 0 || this.#options.verdicts.isAwaiting) void this.#renew();
  }

  close(): void {
    this.#closed = true;
    this.#cancelTimer();
  }

  #live(): readonly Holding[] {
    return this.holdings.filter((holding) => holding.live).slice(0, MAX_LEASES);
  }

  #arm(): void {
    this.#cancelTimer();
    if (this.#closed) return;
    const delayMs = this.#nextDelayMs();
    if (delayMs === undefined) return;
    this.#cancelTimer = this.#options.clock.schedule(delayMs, () => this.renewAnything());
  }

  #nextDelayMs(): number | undefined {
    const { clock, random, verdicts } = this.#options;
    const live = this.#live();
    if (live.length > 0)
      return Math.max(0, Math.min(...live.map((holding) => holding.renewDueMs)) - clock.monotonicMs());
    if (!verdicts.isAwaiting) return undefined;
    return backOffMs(random, this.#verdictPolls, FIRST_VERDICT_POLL_MS, LONGEST_VERDICT_POLL_MS);
  }

  /** An unanswered renewal is overtaken by the next one, which says the same and more. */
  async #renew(): Promise<void> {
    if (this.#closed) return;
    const { clock, random, verdicts } = this.#options;
    const asked = this.#live();
    this.#verdictPolls = asked.length === 0 ? this.#verdictPolls + 1 : 0;
    for (const holding of asked)
      holding.renewDueMs = clock.monotonicMs() + jittered(random, (holding.lease.leaseSeconds * 1000) / 3);
    this.#arm();
    const leases = await Promise.all(asked.map((holding) => this.#describe(holding)));
    const seen = verdicts.toName();
    const answer = await this.#options.renew({ leases, seen }, withinMs(asked));
    if (answer.kind === 'given-up') return;
    if (answer.kind === 'refused') {
      this.#options.log.warn({ errorCode: answer.code }, 'a renewal was refused');
      return;
    }
    verdicts.named(seen);
    for (const holding of asked) this.#apply(holding, answer.message);
    this.#arm();
  }

  async #describe(holding: Holding): Promise<RenewLeases> {
    const { job, attempt } = holding;
    try {
      return { job, attempt, ...(await holding.measure()) };
    } catch (error) {
      this.#options.log.debug({ error }, 'progress could not be measured');
      return { job, attempt, progress: 0 };
    }
  }

  /** What is not in the answer is no longer ours; what was reported meanwhile is decided by the answer to the report. */
  #apply(holding: Holding, renewed: Renewed): void {
    if (!holding.live) return;
    const lease = renewed.leases.find(
      ({ job, attempt }) => job === holding.job && attempt === holding.attempt,
    );
    switch (lease?.order) {
      case undefined:
        holding.stop('void');
        return;
      case 'cancel':
        holding.stop('cancelled');
        return;
      case 'drain':
        this.#options.onDrain();
        break;
      case 'continue':
        break;
    }
    holding.renewed = true;
  }
}

function withinMs(holdings: readonly Holding[]): number {
  const times = holdings.map(({ renewed, lease }) =>
    renewed ? lease.leaseSeconds : lease.firstRenewSeconds,
  );
  return Math.min(60, ...times) * 500;
}
