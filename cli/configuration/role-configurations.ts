import type { AdapterConfiguration } from '../../adapters/adapter-configuration.ts';
import type { LocalConfiguration } from '../../adapters/jobs/local/local-configuration.ts';
import type { BridgeConfiguration } from '../../adapters/storage/bridge/main.ts';
import type { BrokerProgramConfiguration } from '../../broker/program-configuration.ts';
import type { Generated, GeneratedAdapter } from './generated.ts';
import type { SecretName, Settings } from './settings.ts';

export interface RoleConfigurations {
  readonly broker: BrokerProgramConfiguration;
  readonly local: LocalConfiguration;
  readonly bridge: BridgeConfiguration;
}

/** Secrets that references lead to; those that were made at the first start count where one is left out. */
export type Secrets = Readonly<Partial<Record<SecretName, string>>>;

/** Which of the configured secrets a role needs. */
export const SECRETS_OF: Readonly<Record<keyof Generated, readonly SecretName[]>> = {
  broker: ['localBus', 'bridgeBus'],
  local: ['localBus'],
  bridge: ['bridgeBus', 'operatorToken'],
};

/** What the broker runs with: what was made for it, and what a person set. */
export function brokerOf(
  generated: Generated['broker'],
  settings: Settings,
  secrets: Secrets,
): BrokerProgramConfiguration {
  const { host, ports, publicUrls, broker, limits, queues, log } = settings;
  const chosen: Readonly<Record<string, string | undefined>> = {
    local: secrets.localBus,
    bridge: secrets.bridgeBus,
  };
  return {
    installation: generated.installation,
    instance: generated.instance,
    host,
    busPort: ports.bus ?? generated.busPort,
    enrolmentPort: ports.enrolment ?? generated.enrolmentPort,
    ...(publicUrls.bus !== undefined && { publicBusUrl: publicUrls.bus }),
    ...(publicUrls.enrolment !== undefined && { publicEnrolmentUrl: publicUrls.enrolment }),
    keys: generated.keys,
    services: generated.services.map((service) => ({
      ...service,
      secret: chosen[service.name] ?? service.secret,
    })),
    queues: Object.entries(queues).map(([name, queue]) => ({ name, ...queue })),
    limits,
    log: { ...log, pseudonymKey: generated.pseudonymKey },
    ...broker,
  };
}

export function localOf(
  generated: Generated['local'],
  settings: Settings,
  secrets: Secrets,
): LocalConfiguration {
  return adapterOf(generated, settings, secrets.localBus);
}

export function bridgeOf(
  generated: Generated['bridge'],
  settings: Settings,
  secrets: Secrets,
): BridgeConfiguration {
  const { host, ports, publicUrls, bridge } = settings;
  return {
    ...adapterOf(generated, settings, secrets.bridgeBus),
    host,
    port: ports.bridge ?? generated.port,
    ...(publicUrls.bridge !== undefined && { publicUrl: publicUrls.bridge }),
    grantKey: generated.grantKey,
    operatorToken: secrets.operatorToken ?? generated.operatorToken,
    ceiling: bridge,
  };
}

function adapterOf(
  { installation, name, key, keyId, brokers, busUrl, busSecret, pseudonymKey }: GeneratedAdapter,
  { host, ports, adapters, log }: Settings,
  chosen: string | undefined,
): AdapterConfiguration {
  const port = ports.bus ?? new URL(busUrl).port;
  return {
    installation,
    name,
    key,
    keyId,
    brokers,
    busUrl: adapters.busUrl ?? `ws://${hereOf(host)}:${port}/bus`,
    busSecret: chosen ?? busSecret,
    log: { ...log, pseudonymKey },
  };
}

/** What programs of this machine reach a listening address by. */
export function hereOf(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}
