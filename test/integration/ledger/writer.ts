import { once } from 'node:events';
import type { Command } from '../../../broker/core/command.ts';
import { openSqliteLedger } from '../../../broker/ledger/sqlite.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { accept, finalised, hello, lease, report, verified } from '../../unit/lease-machine/world.ts';
import { SILENT } from './ledger-file.ts';

/** Drives jobs through their cycle as fast as it can until it is killed, and prints a line for each outcome it was told. */
const [path = '', run = '0'] = process.argv.slice(2);
const AGENTS = 40;
process.stdout.setMaxListeners(AGENTS);

const ledger = await openSqliteLedger({ path, clock: createManualClock(), log: SILENT });

async function acknowledged(job: string, step: string, command: Command): Promise<void> {
  const [outcome] = await ledger.apply([command]);
  const hasRoom = process.stdout.write(`${job} ${step} ${outcome?.kind ?? ''}\n`);
  if (!hasRoom) await once(process.stdout, 'drain');
}

async function work(agent: string): Promise<never> {
  await ledger.apply([hello(agent, `start-${run}`)]);
  for (let at = 0; ; at++) {
    const job = `${agent}-${run}-${at}`;
    const counter = Number(run) * 1_000_000 + at * 2 + 1;
    const start = `start-${run}`;
    const seen = [{ job: `${agent}-${run}-${at - 1}`, attempt: 1 }];
    await acknowledged(job, 'queued', accept(job));
    await acknowledged(job, 'leased', lease(agent, job, counter, { start, seen }));
    await acknowledged(job, 'reported', report(agent, job, 1, counter + 1, { start }));
    await acknowledged(job, 'committing', verified(job, 1));
    await acknowledged(job, 'committed', finalised(job, 1));
  }
}

await Promise.all(Array.from({ length: AGENTS }, (_, at) => work(`a${at}`)));
