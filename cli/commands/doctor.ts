import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { nodeClock } from '../../protocol/runtime/node-runtime.ts';
import { createOutput, EXIT, show } from '../command-line.ts';
import { ofAdaptersAlone } from '../doctor/adapters-alone.ts';
import { type Finding, found, ok, problem, warning } from '../doctor/finding.ts';
import { checkFrameworks } from '../doctor/frameworks.ts';
import { checkLedgerDatabase } from '../doctor/ledger-database.ts';
import {
  askAll,
  checkAddresses,
  checkConnections,
  checkDatabases,
  checkIdentities,
  checkLogs,
  checkPermissions,
  checkPorts,
  checkRoles,
  checkUnread,
  isConnected,
} from '../doctor/installation.ts';
import { checkOwners } from '../doctor/owners.ts';
import {
  checkClock,
  checkDisk,
  checkIsolation,
  checkNode,
  checkOpenFiles,
  checkSync,
  checkUserNamespaces,
} from '../doctor/machine.ts';
import { checkBrokerTime } from '../doctor/server-clock.ts';
import { readInstallation } from '../installation.ts';
import { action, type CommonOptions, withCommon } from './common.ts';

const MARKS = { ok: 'ok      ', warning: 'warning ', problem: 'PROBLEM ' } as const;

/** `co-pilot doctor`: whether this machine and this installation are fit to run. */
export function addDoctorCommand(program: Command): void {
  withCommon(program.command('doctor'))
    .description('check this machine and the installation, line by line; exit 1 where there is a problem')
    .action(action(doctor));
}

async function doctor(options: CommonOptions): Promise<number> {
  const directory = resolve(options.data);
  const findings = [...(await ofMachine(directory)), ...(await ofInstallation(directory))];
  const count = (status: Finding['status']): number =>
    findings.filter((finding) => finding.status === status).length;
  const counts = { problems: count('problem'), warnings: count('warning') };
  show(createOutput(options.json === true), { ...counts, findings }, () => [
    ...findings.flatMap(linesOf),
    `${counts.problems} problems, ${counts.warnings} warnings`,
  ]);
  return counts.problems === 0 ? EXIT.ok : EXIT.failed;
}

function linesOf({ what, status, detail, next }: Finding): readonly string[] {
  return [`${MARKS[status]}${what}: ${detail}${next === '' ? '' : ` -> ${next}`}`];
}

async function ofMachine(directory: string): Promise<readonly Finding[]> {
  const place = nearest(directory);
  const checks = [
    await found('node', async () => checkNode(process.versions.node)),
    await found('isolation', checkIsolation),
    await found('user namespaces', checkUserNamespaces),
    await found('open files', checkOpenFiles),
    await found('disk', () => checkDisk(place)),
    await found('sync', () => checkSync(place)),
    await found('clock', checkClock),
  ];
  return checks.flat();
}

/** The directory, or what it would be made in. */
function nearest(directory: string): string {
  return existsSync(directory) ? directory : nearest(dirname(directory));
}

async function ofInstallation(directory: string): Promise<readonly Finding[]> {
  const what = 'configuration';
  const read = await found(what, async () => {
    const installation = await readInstallation(directory);
    return installation === undefined
      ? warning(what, `there is no installation in ${directory}`, 'co-pilot up makes one')
      : ok(what, 'read and sound: co-pilot config check shows it');
  });
  if (read.some(({ status }) => status === 'problem'))
    return read.map((finding) => problem(what, finding.detail, 'co-pilot config check'));
  const installation = await readInstallation(directory);
  if (installation === undefined) return (await ofAdaptersAlone(directory)) ?? read;
  const running = await askAll(directory);
  const checks = [
    await found('configuration', () => checkUnread(directory)),
    await found('permissions', () => checkPermissions(directory)),
    checkRoles(running),
    await found('ports', () => checkPorts(installation, running)),
    await found('databases', async () => checkDatabases(directory, running)),
    await found("ledger's database", () => checkLedgerDatabase(installation)),
    checkConnections(running),
    [checkAddresses(installation)],
    await found('agents of one owner', () => checkOwners(installation, running)),
    await found('identities', () => checkIdentities(directory, nodeClock.wallMs())),
    await found('logs', () => checkLogs(directory)),
    await checkFrameworks(directory, installation.settings, (name) => isConnected(running, name)),
    await found('clock', () => checkBrokerTime(installation.settings)),
  ];
  return [...read, ...checks.flat()];
}
