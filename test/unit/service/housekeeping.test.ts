import { describe, expect, it } from 'vitest';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { Command } from '../../../broker/core/command.ts';
import type { Ledger } from '../../../broker/ledger/ledger.ts';
import type { LedgerKeeping, Pruned } from '../../../broker/ledger/keeping.ts';
import { createHousekeeping, ledgerRetention } from '../../../broker/service/housekeeping.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { silentLog } from '../../doubles/silent-log.ts';

const NOTHING: Pruned = { jobs: 0, agents: 0, tombstones: 0, auditRecords: 0, lapsed: [], more: false };
const MINUTE_MS = 60_000;

function stage(answers: (() => Pruned)[]) {
  const clock = createManualClock();
  const calls: number[] = [];
  const applied: Command[] = [];
  const keeping: Pick<LedgerKeeping, 'prune'> & Pick<Ledger, 'apply'> = {
    async apply(commands) {
      applied.push(...commands);
      return [];
    },
    async prune() {
      calls.push(clock.monotonicMs());
      return (answers.shift() ?? (() => NOTHING))();
    },
  };
  const housekeeping = createHousekeeping({ clock, log: silentLog, keeping, retention: ledgerRetention() });
  const from = clock.monotonicMs();
  return { clock, housekeeping, applied, times: () => calls.map((at) => at - from) };
}

describe('housekeeping', () => {
  it('takes small steps with pauses while there is more, then waits for the next round', async () => {
    const { clock, housekeeping, times } = stage([() => ({ ...NOTHING, more: true }), () => NOTHING]);
    housekeeping.start();
    await clock.run(2 * MINUTE_MS + 1_000);
    expect(times()).toEqual([MINUTE_MS, MINUTE_MS + 100, 2 * MINUTE_MS + 100]);
    housekeeping.stop();
  });

  it('goes on after a fault, and stops for good when it is stopped', async () => {
    const { clock, housekeeping, times } = stage([
      () => {
        throw new CoPilotError('LEDGER_FULL', 'no room');
      },
    ]);
    housekeeping.start();
    await clock.run(2 * MINUTE_MS);
    housekeeping.stop();
    await clock.run(10 * MINUTE_MS);
    expect(times()).toEqual([MINUTE_MS, 2 * MINUTE_MS]);
  });

  it('frees the places of agents whose identities are over', async () => {
    const { clock, housekeeping, applied } = stage([() => ({ ...NOTHING, lapsed: ['a', 'b'] })]);
    housekeeping.start();
    await clock.run(3 * MINUTE_MS);
    housekeeping.stop();
    expect(applied).toEqual([
      { kind: 'lapse', agent: 'a' },
      { kind: 'lapse', agent: 'b' },
    ]);
    expect(ledgerRetention().identityMs).toBe(9 * 86_400_000);
  });

  it('keeps what is configured, and by default a month of jobs and their ids longer', () => {
    expect(ledgerRetention()).toMatchObject({ jobMs: 30 * 86_400_000, jobs: 1_000_000 });
    expect(ledgerRetention({ jobDays: 1 }).jobMs).toBe(86_400_000);
    expect(ledgerRetention().tombstoneMs).toBeGreaterThan(ledgerRetention().jobMs);
  });
});
