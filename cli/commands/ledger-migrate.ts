import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { importLedger } from '../../broker/ledger/postgres-import.ts';
import { type PostgresPlace, placeText } from '../../broker/ledger/postgres-place.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import { createOutput, EXIT, type Output, show } from '../command-line.ts';
import { loadConfiguration } from '../configuration/load.ts';
import { ledgerOf } from '../configuration/role-configurations.ts';
import { readSecret } from '../configuration/secret.ts';
import { roleDirectory } from '../installation.ts';
import { createProgressNote } from '../progress-note.ts';
import { action, type CommonOptions, withCommon } from './common.ts';

interface MigrateOptions extends CommonOptions {
  readonly from?: string;
  readonly to?: string;
  readonly dryRun?: boolean;
}

/** `co-pilot ledger migrate`: from the file of one broker to the database of several. */
export function addLedgerMigrateCommand(ledger: Command): void {
  withCommon(ledger.command('migrate'))
    .description('move a ledger from SQLite into an empty PostgreSQL database, every row compared')
    .option('--from <directory>', 'the folder with ledger.sqlite; that of the broker where it is left out')
    .option('--to <url>', 'the database; the one of the settings where it is left out')
    .option('--dry-run', 'do and compare everything, and take it back')
    .action(action(migrate));
}

async function migrate(options: MigrateOptions): Promise<number> {
  const output = createOutput(options.json === true);
  const directory = resolve(options.data);
  const to = await placeOf(directory, options.to);
  const folder = options.from ?? roleDirectory(directory, 'broker');
  const [from, codes] = [join(folder, 'ledger.sqlite'), join(folder, 'codes.sqlite')];
  const dryRun = options.dryRun === true;
  const moved = await importLedger({ from, codes, to, dryRun, onProgress: progressOf(output) });
  const { jobs, agents, owners, tombstones, auditRecords } = moved;
  show(output, { ...moved, dryRun }, () => [
    `${jobs} jobs, ${agents} agents, ${owners} owners, ${tombstones} ids of jobs that went, ${auditRecords} audit records and ${moved.codes} one-use codes ${dryRun ? 'would be' : 'are'} in ${placeText(to)}, each compared`,
    ...(dryRun
      ? []
      : [
          `Now set ledger.kind to postgres, and put ${from} and codes.sqlite away: no broker may go on with them.`,
        ]),
  ]);
  return EXIT.ok;
}

/** The database that is named, with the password that the settings lead to. */
async function placeOf(directory: string, to: string | undefined): Promise<PostgresPlace> {
  const flags = to === undefined ? [] : ['ledger.kind=postgres', `ledger.url=${to}`];
  const { settings } = await loadConfiguration({ directory, environment: process.env, flags });
  const reference = settings.secrets.ledgerPassword;
  const password = reference && (await readSecret('ledgerPassword', reference, process.env));
  const { ledger } = ledgerOf(settings, password === undefined ? {} : { ledgerPassword: password });
  if (ledger !== undefined) return ledger.place;
  throw new CoPilotError(
    'INVALID_REQUEST',
    'no database is named: use --to, or set ledger.kind and ledger.url',
  );
}

function progressOf(output: Output): (progress: { doneRows: number; totalRows: number }) => void {
  const note = createProgressNote(output.note, () => performance.now());
  return ({ doneRows, totalRows }) => note('rows moved and compared', doneRows, totalRows);
}
