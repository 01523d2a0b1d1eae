import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { checkLedger, type LedgerCheck } from '../../broker/ledger/check-ledger.ts';
import { toCoPilotError } from '../../protocol/errors.ts';
import { backUp } from '../backup/backup.ts';
import { restore } from '../backup/restore.ts';
import { snapshotRole } from '../backup/role-snapshot.ts';
import { createOutput, EXIT, type Output, show } from '../command-line.ts';
import { createProgressNote } from '../progress-note.ts';
import { action, type CommonOptions, withCommon } from './common.ts';
import { addLedgerMigrateCommand } from './ledger-migrate.ts';

interface BackupOptions extends CommonOptions {
  /** False with `--no-files`. */
  readonly files: boolean;
}

interface RestoreOptions extends CommonOptions {
  readonly force?: boolean;
  readonly dryRun?: boolean;
}

/** `co-pilot ledger …`: whether it is sound, and copies of it and of all that belongs to it. */
export function addLedgerCommands(program: Command): void {
  const ledger = program
    .command('ledger')
    .description('check the ledger, back up and restore the installation');
  withCommon(ledger.command('check'))
    .description(
      'read the whole ledger, running or not, and tell what is wrong with it; exit 1 where anything is',
    )
    .action(action(check));
  withCommon(ledger.command('backup').argument('<directory>', 'a new folder'))
    .description(
      'copy ledger, queue, bridge, adapters of frameworks, keys and settings while they are in use',
    )
    .option(
      '--no-files',
      'leave the inputs and results in the bridge out; copy its folder yourself afterwards',
    )
    .action(action(backup));
  withCommon(ledger.command('restore').argument('<backup>'))
    .description('put a backup back, into the folder of --data')
    .option('--force', 'move the installation that is there aside')
    .option('--dry-run', 'check the backup and say what would be done')
    .action(action(putBack));
  addLedgerMigrateCommand(ledger);
}

function progressOf(output: Output): (what: string, done: number, total: number) => void {
  return createProgressNote(output.note, () => performance.now());
}

async function check(options: CommonOptions): Promise<number> {
  const output = createOutput(options.json === true);
  const progress = progressOf(output);
  await using snapshot = await snapshotRole(resolve(options.data), 'broker', ({ donePages, totalPages }) =>
    progress('pages copied', donePages, totalPages),
  );
  const found = checkSnapshot(snapshot.path('ledger.sqlite'), progress);
  show(output, { ...found, wasRunning: snapshot.isRunning }, () => linesOf(found));
  return found.faultCount === 0 ? EXIT.ok : EXIT.failed;
}

function checkSnapshot(
  path: string,
  progress: (what: string, done: number, total: number) => void,
): LedgerCheck {
  try {
    return checkLedger(path, ({ doneRows, totalRows }) => progress('rows read', doneRows, totalRows));
  } catch (caught) {
    throw toCoPilotError(caught);
  }
}

function linesOf(found: LedgerCheck): readonly string[] {
  const { jobs, agents, owners, auditRecords, version, faults, faultCount } = found;
  const more = faultCount > faults.length ? [`and ${faultCount - faults.length} more`] : [];
  return [
    ...faults,
    ...more,
    `${jobs} jobs, ${agents} agents, ${owners} owners, ${auditRecords} audit records, version ${version}: ${
      faultCount === 0 ? 'sound' : `${faultCount} ${faultCount === 1 ? 'fault' : 'faults'}`
    }`,
  ];
}

async function backup(to: string, options: BackupOptions): Promise<number> {
  const output = createOutput(options.json === true);
  const made = await backUp({
    directory: resolve(options.data),
    to,
    withFiles: options.files,
    onProgress: progressOf(output),
  });
  show(output, made, () => [
    `${made.files} files, ${made.bytes} bytes in ${made.directory}`,
    'It holds the keys of the installation: keep it as safe as the installation itself.',
    ...(options.files ? [] : [`Now copy ${join(options.data, 'bridge')}/attempts and inputs as well.`]),
  ]);
  return EXIT.ok;
}

async function putBack(from: string, options: RestoreOptions): Promise<number> {
  const output = createOutput(options.json === true);
  const done = await restore({
    from: resolve(from),
    directory: resolve(options.data),
    force: options.force === true,
    dryRun: options.dryRun === true,
    onProgress: progressOf(output),
  });
  const { reconciled, aside, directory, createdAt, files, withFiles } = done;
  show(output, done, () => [
    `${files} files of ${createdAt} ${reconciled === null ? 'would go' : 'are'} into ${directory}`,
    ...(aside === null ? [] : [`what is there ${reconciled === null ? 'would move' : 'moved'} to ${aside}`]),
    ...(withFiles
      ? []
      : [
          'the backup has no inputs and results: put bridge/attempts and bridge/inputs in place before you start',
        ]),
    ...(reconciled === null
      ? []
      : [
          `${reconciled.retold} ended jobs are told to the queue again, ${reconciled.renumbered} open jobs go on, ${reconciled.takenBack} results that came after the ledger's copy are made anew`,
          'revoke again whom you revoked since then, and make new codes: those spent since then are good again',
        ]),
  ]);
  return EXIT.ok;
}
