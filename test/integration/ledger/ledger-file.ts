import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqliteLedger } from '../../../broker/ledger/sqlite.ts';
import type { Ledger } from '../../../broker/ledger/ledger.ts';
import type { Log } from '../../../protocol/runtime/runtime.ts';
import type { KeepingUnderTest } from '../../conformance/ledger-keeping.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';

export const SILENT: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

export async function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'co-pilot-ledger-'));
}

/** A ledger in files. A crash leaves the open handle behind and goes on with a copy of what is in the files by then. */
export async function createLedgerFiles(): Promise<KeepingUnderTest> {
  const folder = await temporaryFolder();
  const clock = createManualClock();
  const left: Ledger[] = [];
  let generation = 0;
  const copy = join(folder, 'copy.sqlite');
  return {
    clock,
    copy: { path: copy, open: () => openSqliteLedger({ path: copy, clock, log: SILENT }) },
    async open() {
      const ledger = await openSqliteLedger({ path: pathOf(folder, generation), clock, log: SILENT });
      left.push(ledger);
      return ledger;
    },
    async crash() {
      const from = pathOf(folder, generation);
      const to = pathOf(folder, ++generation);
      await cp(from, to);
      await cp(`${from}-wal`, `${to}-wal`);
    },
    async dispose() {
      for (const ledger of left) await ledger.close();
      await rm(folder, { recursive: true });
    },
  };
}

function pathOf(folder: string, generation: number): string {
  return join(folder, `ledger-${generation}.sqlite`);
}
