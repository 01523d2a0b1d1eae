import type { LocalConfiguration } from '../adapters/jobs/local/local-configuration.ts';
import { startLocalAdapter } from '../adapters/jobs/local/main.ts';
import { startBridge, type BridgeConfiguration } from '../adapters/storage/bridge/main.ts';
import { startBroker } from '../broker/main.ts';
import type { BrokerProgramConfiguration } from '../broker/program-configuration.ts';
import { CoPilotError } from '../protocol/errors.ts';
import { createLog, type LogConfiguration } from '../protocol/runtime/log.ts';
import type { Log } from '../protocol/runtime/runtime.ts';
import { dropReader } from './campaign/drop-reader.ts';
import { outcomeEvents } from './broker-events.ts';
import { controlSocket, readConfiguration, type Role, roleDirectory } from './installation.ts';

export interface RoleOptions {
  readonly directory: string;
  readonly role: Role;
  /** Takes one JSON line an event: `ready`, and what happens to jobs. */
  readonly onEvent: (event: object) => void;
  /** The role cannot go on: end the process. */
  readonly onFatal: () => void;
}

/** Starts one role of an installation in this process. */
export async function startRole({
  directory,
  role,
  onEvent,
  onFatal,
}: RoleOptions): Promise<{ stop(): Promise<void> }> {
  const log = await openLog(directory, role);
  const own = { directory: roleDirectory(directory, role), log };
  const socket = { controlSocket: controlSocket(directory, role) };
  switch (role) {
    case 'broker': {
      const configuration = await configured<BrokerProgramConfiguration>(directory, role);
      const onOutcome = outcomeEvents(onEvent);
      const broker = await startBroker({ ...own, ...socket, configuration, onOutcome, onFatal });
      onEvent({ event: 'ready', role, busUrl: broker.busUrl, enrolmentUrl: broker.enrolmentUrl });
      return broker;
    }
    case 'local': {
      const program = await startLocalAdapter({
        ...own,
        ...socket,
        configuration: await configured<LocalConfiguration>(directory, role),
        reader: dropReader,
      });
      const { intakeUrl } = program;
      onEvent({ event: 'ready', role, ...(intakeUrl !== undefined && { intakeUrl }) });
      return program;
    }
    case 'bridge': {
      const program = await startBridge({
        ...own,
        configuration: await configured<BridgeConfiguration>(directory, role),
      });
      onEvent({ event: 'ready', role, url: program.url });
      return program;
    }
  }
}

async function openLog(directory: string, role: Role): Promise<Log> {
  const { log } = await configured<{ readonly log?: LogConfiguration }>(directory, role);
  return createLog(role, { level: 'info', ...log });
}

async function configured<T>(directory: string, role: Role): Promise<T> {
  const configuration = await readConfiguration<T>(directory, role);
  if (configuration !== undefined) return configuration;
  throw new CoPilotError(
    'INVALID_CONFIGURATION',
    `there is no installation in ${directory}; \`co-pilot up --data ${directory}\` makes one`,
  );
}
