import { resolve } from 'node:path';
import type { Command } from 'commander';
import { checkBus } from '../../broker/bus-check.ts';
import type {
  BrokerProgramConfiguration,
  BusServerConfiguration,
} from '../../broker/program-configuration.ts';
import { BROKER_ADDRESS } from '../../protocol/bindings/bus.ts';
import type { ProbeResult } from '../../protocol/bindings/lock-down.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import { loadKey } from '../../protocol/runtime/key-file.ts';
import { createLog } from '../../protocol/runtime/log.ts';
import { createNodeRuntime } from '../../protocol/runtime/node-runtime.ts';
import { BUS_SERVERS, busServer } from '../bus-servers.ts';
import { EXIT, show } from '../command-line.ts';
import { type Installation, openInstallation, readInstallation } from '../installation.ts';
import { writeFiles } from '../private-server.ts';
import { action, type CommonOptions, outputOf, withCommon } from './common.ts';

interface ConfigOptions extends CommonOptions {
  readonly to?: string;
}

const MARKS = { 'as it should be': 'ok     ', leak: 'LEAK   ', broken: 'BROKEN ' } as const;

/** `co-pilot bus …`: a bus server that lets agents reach the broker, and nothing else. */
export function addBusCommands(program: Command): void {
  const bus = program.command('bus').description('set up a bus server, and check it');
  withCommon(bus.command('config').argument('<server>', `one of: ${BUS_SERVERS.join(', ')}`))
    .description('write what the server runs with')
    .option(
      '--to <directory>',
      'where the files go, and where the server will read them; a folder of its name where left out',
    )
    .action(action(config));
  withCommon(bus.command('check'))
    .description('try as an agent what the server must refuse; exit 1 where something leaks')
    .action(action(check));
}

async function config(name: string, options: ConfigOptions): Promise<number> {
  const server = await busServer(name, 'a server');
  const installation = await openInstallation({ directory: resolve(options.data) });
  const directory = resolve(options.to ?? name);
  const files = await writeFiles(directory, server.files(installation, directory));
  const written = [...files, ...((await server.complete?.(directory)) ?? [])];
  show(outputOf(options), { files: written }, () => written);
  return EXIT.ok;
}

async function check(options: CommonOptions): Promise<number> {
  const directory = resolve(options.data);
  const installation = await readInstallation(directory);
  if (installation === undefined)
    throw new CoPilotError(
      'UNREACHABLE',
      `there is no installation in ${directory}; \`co-pilot up\` makes one`,
    );
  const results = await probe(installation);
  const leaks = results.filter(({ outcome }) => outcome !== 'as it should be').length;
  show(outputOf(options), { leaks, results }, () => [
    ...results.map(({ attempt, outcome, detail }) => `${MARKS[outcome]} ${attempt}: ${detail}`),
    leaks === 0
      ? `${results.length} attempts, nothing leaks`
      : `${leaks} of ${results.length} attempts went wrong`,
  ]);
  return leaks === 0 ? EXIT.ok : EXIT.failed;
}

/** Every bus server of the installation; the attempts say which where there are several. */
async function probe({ configurations: { broker } }: Installation): Promise<readonly ProbeResult[]> {
  const servers = broker.buses.filter((bus) => bus.kind !== 'websocket');
  if (servers.length === 0)
    throw new CoPilotError(
      'INVALID_REQUEST',
      'the embedded bus has nothing to check: it carries frames to the broker alone',
    );
  const found: ProbeResult[] = [];
  for (const server of servers) {
    const results = await probeServer(broker, server);
    const named = results.map((result) => ({ ...result, attempt: `${server.kind}: ${result.attempt}` }));
    found.push(...(servers.length === 1 ? results : named));
  }
  return found;
}

async function probeServer(
  { installation, keys }: BrokerProgramConfiguration,
  { url, password, componentUrl }: BusServerConfiguration,
): Promise<readonly ProbeResult[]> {
  const runtime = createNodeRuntime(createLog('bus', { level: 'error' }));
  const who = { runtime, installation, identityKey: loadKey(runtime.crypto, keys.identity) };
  if (componentUrl !== undefined) return checkBus({ ...who, server: { kind: 'xmpp', url, componentUrl } });
  const { openAdmission } = await import('../../protocol/bindings/amqp-admission.ts');
  const admission = await openAdmission(url, { user: BROKER_ADDRESS, password });
  try {
    return await checkBus({ ...who, server: { kind: 'amqp', url, admission } });
  } finally {
    await admission.close();
  }
}
