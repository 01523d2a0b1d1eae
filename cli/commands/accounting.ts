import { resolve } from 'node:path';
import type { Command } from 'commander';
import { type Account, accountKey, createAccounts } from '../../broker/core/account.ts';
import type { StoredJob } from '../../broker/ledger/ledger.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import { EXIT, show, table } from '../command-line.ts';
import { askBroker } from '../connection.ts';
import { action, type CommonOptions, outputOf, withCommon } from './common.ts';

interface AccountingOptions extends CommonOptions {
  readonly since?: string;
}

const PAGE = 500;

/** `co-pilot accounting`: what was used where, for whom. */
export function addAccountingCommand(program: Command): void {
  withCommon(program.command('accounting'))
    .description('jobs, events, processor and wall time by site, owner and campaign, from the ledger')
    .option('--since <date>', 'only jobs that ended at that moment or later, such as 2026-03-01')
    .action(action(accounting));
}

async function accounting(options: AccountingOptions): Promise<number> {
  const sinceMs = options.since === undefined ? undefined : momentOf(options.since);
  const accounts = createAccounts();
  // First: a job that goes meanwhile is then left out, and not counted twice.
  if (sinceMs === undefined)
    for await (const account of accountsOfGone(resolve(options.data))) accounts.include(account);
  for await (const { job } of jobsOf(resolve(options.data)))
    if (sinceMs === undefined || (job.finishedMs ?? 0) >= sinceMs) accounts.add(job);
  const rows = accounts.rows();
  show(outputOf(options), { accounts: rows }, () =>
    table(
      ['SITE', 'OWNER', 'CAMPAIGN', 'JOBS', 'EVENTS', 'ATTEMPTS', 'CPU', 'WALL', 'LOST CPU'],
      rows.map(cellsOf),
    ),
  );
  return EXIT.ok;
}

/** Page by page, so that a ledger of any size is read in little memory. */
async function* jobsOf(directory: string): AsyncGenerator<StoredJob> {
  for (let after = ''; ; ) {
    const path = `/v1/jobs?limit=${PAGE}&after=${after}`;
    const { jobs } = await askBroker<{ readonly jobs: readonly StoredJob[] }>(directory, 'GET', path);
    yield* jobs;
    const last = jobs.at(-1);
    if (last === undefined || jobs.length < PAGE) return;
    after = last.job.id;
  }
}

/** Of jobs that retention has removed. */
async function* accountsOfGone(directory: string): AsyncGenerator<Account> {
  for (let after = ''; ; ) {
    const path = `/v1/accounts?after=${encodeURIComponent(after)}`;
    const { accounts } = await askBroker<{ readonly accounts: readonly Account[] }>(directory, 'GET', path);
    yield* accounts;
    const last = accounts.at(-1);
    if (last === undefined) return;
    after = accountKey(last);
  }
}

function cellsOf(account: Account): readonly string[] {
  const { site, owner, campaign, jobs, events, attempts, cpuSeconds, wallSeconds, lostCpuSeconds } = account;
  const seconds = [cpuSeconds, wallSeconds, lostCpuSeconds].map((value) => `${Math.round(value)} s`);
  return [site, owner, campaign, String(jobs), String(events), String(attempts), ...seconds];
}

function momentOf(text: string): number {
  const ms = Date.parse(text);
  if (!Number.isNaN(ms)) return ms;
  throw new CoPilotError('INVALID_REQUEST', `--since takes a date such as 2026-03-01, not ${text}`);
}
