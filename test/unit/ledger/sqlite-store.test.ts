import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'vitest';
import { createGroupQueue } from '../../../broker/ledger/group-queue.ts';
import type { LedgerKeeping } from '../../../broker/ledger/keeping.ts';
import type { Ledger } from '../../../broker/ledger/ledger.ts';
import { createLedgerClock } from '../../../broker/ledger/ledger-clock.ts';
import { decodeOutcomes } from '../../../broker/ledger/outcome-text.ts';
import { openSqliteStore } from '../../../broker/ledger/sqlite-store.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { Clock } from '../../../protocol/runtime/runtime.ts';
import { ledgerConformance, type LedgerUnderTest } from '../../conformance/ledger.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';

describe('sqlite ledger, without its thread', () => {
  ledgerConformance(createFiles);
});

describe('sqlite ledger, without its thread, outcomes as text', () => {
  ledgerConformance(() => createFiles(true));
});

/** Files on a disk; a crash leaves the open store behind and goes on with a copy of what is in its files by then. */
async function createFiles(asText = false): Promise<LedgerUnderTest> {
  const folder = await mkdtemp(join(tmpdir(), 'co-pilot-store-'));
  const clock = createManualClock();
  const opened: Ledger[] = [];
  let generation = 0;
  const path = (): string => join(folder, `ledger-${generation}.sqlite`);
  return {
    clock,
    async open() {
      const ledger = openHere(path(), clock, asText);
      opened.push(ledger);
      return ledger;
    },
    async crash() {
      const from = path();
      generation += 1;
      await cp(from, path());
      await cp(`${from}-wal`, `${path()}-wal`);
    },
    async dispose() {
      for (const ledger of opened) await ledger.close();
      await rm(folder, { recursive: true });
    },
  };
}

/** What the thread does, in this one. */
function openHere(path: string, clock: Clock, asText: boolean): Ledger & LedgerKeeping {
  const store = openSqliteStore(path);
  const nowMs = createLedgerClock(clock, store.clockMs);
  let isOpen = true;
  const queue = createGroupQueue(async (commands) =>
    asText ? decodeOutcomes(store.applyAsText(commands, nowMs())) : store.apply(commands, nowMs()),
  );
  const read = async <T>(look: () => T): Promise<T> => {
    if (!isOpen) throw new CoPilotError('LEDGER_UNAVAILABLE', 'the ledger is closed');
    return look();
  };
  return {
    apply: async (commands) => (isOpen ? queue.apply(commands) : read(() => [])),
    due: (limit) => read(() => store.due(nowMs(), limit)),
    list: ({ kind }, after, limit) => read(() => store.list(kind, after, limit)),
    job: (id) => read(() => store.job(id)),
    agent: (id) => read(() => store.agent(id)),
    owner: (id) => read(() => store.owner(id)),
    nowMs: () => read(nowMs),
    agents: (after, limit) => read(() => ({ agents: store.agents(after, limit), nowMs: nowMs() })),
    accounts: (after, limit) => read(() => store.accounts(after, limit)),
    count: () => read(() => store.count()),
    prune: (retention, limit) => read(() => store.prune(retention, nowMs(), limit)),
    snapshot: () => Promise.reject(new CoPilotError('UNSUPPORTED', 'the thread takes snapshots')),
    async close() {
      isOpen = false;
      await queue.drained();
      store.close(nowMs());
    },
  };
}
