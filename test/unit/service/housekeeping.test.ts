import { describe, expect, it } from 'vitest';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { LedgerKeeping, Pruned } from '../../../broker/ledger/keeping.ts';
import { createHousekeeping, ledgerRetention } from '../../../broker/service/housekeeping.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { silentLog } from '../../doubles/silent-log.ts';

const NOTHING: Pruned = { jobs: 0, agents: 0, tombstones: 0, auditRecords: 0, more: false };
const MINUTE_MS = 60_000;

function stage(answers: (() => Pruned)[]) {
  const clock = createManualClock();
  const calls: number[] = [];
  const keeping: Pick<LedgerKeeping, 'prune'> = {
    async prune() {
      calls.push(clock.monotonicMs());
      return (answers.shift() ?? (() => NOTHING))();
    },
  };
  const housekeeping = createHousekeeping({ clock, log: silentLog, keeping, retention: ledgerRetention() });
  const from = clock.monotonicMs();
  return { clock, housekeeping, times: () => calls.map((at) => at - from) };
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

  it('keeps what is configured, and by default a month of jobs and their ids longer', () => {
    expect(ledgerRetention()).toMatchObject({ jobMs: 30 * 86_400_000, jobs: 1_000_000 });
    expect(ledgerRetention({ jobDays: 1 }).jobMs).toBe(86_400_000);
    expect(ledgerRetention().tombstoneMs).toBeGreaterThan(ledgerRetention().jobMs);
  });
});
