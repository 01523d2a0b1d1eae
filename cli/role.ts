import { CoPilotError } from '../protocol/errors.ts';
import { createLog, type LogConfiguration } from '../protocol/runtime/log.ts';
import { outcomeEvents } from './broker-events.ts';
import { type Configuration } from './configuration/load.ts';
import type { RoleConfigurations } from './configuration/role-configurations.ts';
import { FRAMEWORK_KINDS } from './framework-kinds.ts';
import {
  controlSocket,
  frameworkRole,
  readConfiguration,
  readFramework,
  type Role,
  roleDirectory,
} from './installation.ts';

export interface RoleOptions {
  readonly directory: string;
  readonly role: Role;
  readonly configuration: Configuration;
  /** Takes one JSON line an event: `ready`, and what happens to jobs. */
  readonly onEvent: (event: object) => void;
  /** The role cannot go on: end the process. */
  readonly onFatal: () => void;
}

/** Starts one role of an installation in this process, which loads nothing of the others. */
export async function startRole({
  directory,
  role,
  configuration: own,
  onEvent,
  onFatal,
}: RoleOptions): Promise<{ stop(): Promise<void> }> {
  const at = <C extends { readonly log?: LogConfiguration }>(configuration: C) => ({
    directory: roleDirectory(directory, role),
    controlSocket: controlSocket(directory, role),
    log: createLog(role, { level: 'info', ...configuration.log }),
    configuration,
  });
  switch (role) {
    case 'broker': {
      const { startBroker } = await import('../broker/main.ts');
      const place = at(await configured(directory, role, own));
      const broker = await startBroker({ ...place, onOutcome: outcomeEvents(onEvent), onFatal });
      onEvent({ event: 'ready', role, busUrl: broker.busUrl, enrolmentUrl: broker.enrolmentUrl });
      return broker;
    }
    case 'local': {
      const { startLocalAdapter } = await import('../adapters/jobs/local/main.ts');
      const { dropReader } = await import('./campaign/drop-reader.ts');
      const place = at(await configured(directory, role, own));
      const program = await startLocalAdapter({ ...place, reader: dropReader });
      const { intakeUrl } = program;
      onEvent({ event: 'ready', role, ...(intakeUrl !== undefined && { intakeUrl }) });
      return program;
    }
    case 'bridge': {
      const { startBridge } = await import('../adapters/storage/bridge/main.ts');
      const program = await startBridge(at(await configured(directory, role, own)));
      onEvent({ event: 'ready', role, url: program.url });
      return program;
    }
  }
}

/** Starts the adapter of one framework in this process. */
export async function startFramework(
  name: string,
  { directory, configuration: own, onEvent }: Omit<RoleOptions, 'role' | 'onFatal'>,
): Promise<{ stop(): Promise<void> }> {
  const configuration = (await readFramework(directory, name, own)) ?? noInstallation(directory);
  const load = FRAMEWORK_KINDS[configuration.framework.kind];
  if (load === undefined)
    throw new CoPilotError('INVALID_CONFIGURATION', `frameworks.${name}.kind is none that is known`);
  const { startAdapter } = await load();
  const program = await startAdapter({
    directory: roleDirectory(directory, frameworkRole(name)),
    configuration,
    log: createLog(name, { level: 'info', ...configuration.log }),
  });
  onEvent({ event: 'ready', role: frameworkRole(name) });
  return program;
}

async function configured<R extends Role>(
  directory: string,
  role: R,
  own: Configuration,
): Promise<RoleConfigurations[R]> {
  const configuration = await readConfiguration(directory, role, own);
  return configuration ?? noInstallation(directory);
}

function noInstallation(directory: string): never {
  throw new CoPilotError(
    'INVALID_CONFIGURATION',
    `there is no installation in ${directory}; \`co-pilot up --data ${directory}\` makes one`,
  );
}
