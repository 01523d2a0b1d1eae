import { toCoPilotError } from '../../protocol/errors.ts';
import type { Cancel, Clock, Log } from '../../protocol/runtime/runtime.ts';
import type { LedgerRetention } from '../core/prune.ts';
import { LONGEST_IDENTITY_SECONDS } from '../enrolment/enrolment.ts';
import type { LedgerKeeping, Pruned } from '../ledger/keeping.ts';
import type { Ledger } from '../ledger/ledger.ts';

export interface HousekeepingOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly keeping: Pick<LedgerKeeping, 'prune'> & Pick<Ledger, 'apply'>;
  readonly retention: LedgerRetention;
}

/** Removes what the ledger need not keep, a little at a time, so that nobody waits for it. */
export interface Housekeeping {
  start(): void;
  stop(): void;
}

/** Rows looked at in one step: some milliseconds of the ledger's thread. */
const STEP_ROWS = 64;
const PAUSE_MS = 100;
const ROUND_MS = 60_000;

export function createHousekeeping({ clock, log, keeping, retention }: HousekeepingOptions): Housekeeping {
  let cancel: Cancel = () => undefined;
  let isStopped = false;

  function later(delayMs: number): void {
    if (!isStopped) cancel = clock.schedule(delayMs, () => void step());
  }

  async function step(): Promise<void> {
    try {
      const pruned = await keeping.prune(retention, STEP_ROWS);
      note(pruned);
      if (pruned.lapsed.length > 0)
        await keeping.apply(pruned.lapsed.map((agent) => ({ kind: 'lapse', agent })));
      later(pruned.more ? PAUSE_MS : ROUND_MS);
    } catch (caught) {
      log.warn(
        { errorCode: toCoPilotError(caught).code },
        'old rows could not be removed; tried again later',
      );
      later(ROUND_MS);
    }
  }

  function note({ jobs, agents, tombstones, auditRecords }: Pruned): void {
    if (jobs + agents + tombstones + auditRecords > 0)
      log.debug({ jobs, agents, tombstones, auditRecords }, 'old rows removed');
  }

  return {
    start: () => later(ROUND_MS),
    stop() {
      isStopped = true;
      cancel();
    },
  };
}

const DAY_MS = 86_400_000;

/** Retention as it is configured. */
export interface RetentionConfiguration {
  readonly jobDays: number;
  readonly jobs: number;
  readonly tombstoneDays: number;
  readonly agentDays: number;
  readonly auditRecords: number;
}

export const DEFAULT_RETENTION: RetentionConfiguration = {
  jobDays: 30,
  jobs: 1_000_000,
  tombstoneDays: 400,
  agentDays: 90,
  auditRecords: 20_000_000,
};

export function ledgerRetention(configured: Partial<RetentionConfiguration> = {}): LedgerRetention {
  const { jobDays, jobs, tombstoneDays, agentDays, auditRecords } = { ...DEFAULT_RETENTION, ...configured };
  return {
    jobMs: jobDays * DAY_MS,
    jobs,
    tombstoneMs: tombstoneDays * DAY_MS,
    // When an agent was last heard of is known to the day.
    identityMs: LONGEST_IDENTITY_SECONDS * 1000 + DAY_MS,
    agentMs: agentDays * DAY_MS,
    auditRecords,
  };
}
