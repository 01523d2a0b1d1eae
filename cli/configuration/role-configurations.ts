import type { AdapterConfiguration } from '../../adapters/adapter-configuration.ts';
import type { BridgeAccess } from '../../adapters/jobs/kit/bridge-access.ts';
import type { IntakeConfiguration } from '../../adapters/jobs/local/intake/intake-configuration.ts';
import type { FrameworkConfiguration, FrameworkSettings } from '../../adapters/jobs/kit/framework-kind.ts';
import type { LocalConfiguration } from '../../adapters/jobs/local/local-configuration.ts';
import type { TurnWeights } from '../../adapters/jobs/turns.ts';
import type { BridgeConfiguration } from '../../adapters/storage/bridge/main.ts';
import type { EnrolmentConfiguration } from '../../broker/enrolment/configured-methods.ts';
import type { BrokerProgramConfiguration, BusConfiguration } from '../../broker/program-configuration.ts';
import { agentPlace, isXmppUrl } from '../../protocol/bindings/xmpp-place.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import type { LogConfiguration } from '../../protocol/runtime/log.ts';
import type { MetricsConfiguration } from '../../protocol/runtime/metrics-server.ts';
import type { Generated, GeneratedAdapter, GeneratedBridge } from './generated.ts';
import { busesOf } from './buses.ts';
import type { BusSettings, FrameworkEntry, QueueSettings, SecretName, Settings } from './settings.ts';

export interface RoleConfigurations {
  readonly broker: BrokerProgramConfiguration;
  readonly local: LocalConfiguration;
  readonly bridge: BridgeConfiguration;
}

/** Secrets that references lead to; those that were made at the first start count where one is left out. */
export type Secrets = Readonly<Partial<Record<SecretName, string>>>;

/** Which of the configured secrets a role needs. */
export function secretsOf(role: keyof Generated, settings: Settings): readonly SecretName[] {
  switch (role) {
    case 'broker':
      return ['brokerBus', 'localBus', 'bridgeBus', 'ledgerPassword', 'boincPassword'];
    case 'local':
      return hasIntake(settings) ? ['localBus', 'operatorToken'] : ['localBus'];
    case 'bridge':
      return ['bridgeBus', 'operatorToken'];
  }
}

/** Whether jobs come into the local queue by another way than the command line. */
export function hasIntake({ intake }: Settings): boolean {
  return intake.http.port !== undefined || intake.directory.path !== undefined;
}

/** What the broker runs with: what was made for it, and what a person set. */
export function brokerOf(
  generated: Generated['broker'],
  settings: Settings,
  secrets: Secrets,
): BrokerProgramConfiguration {
  const { host, ports, publicUrls, broker, limits, queues, frameworks, metrics, retention } = settings;
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
    buses: busesOf(settings).map((bus) => busOf(bus, secrets.brokerBus ?? generated.busSecret)),
    ...otherBrokersOf(settings),
    ...(publicUrls.enrolment !== undefined && { publicEnrolmentUrl: publicUrls.enrolment }),
    enrolment: enrolmentOf(settings, secrets),
    keys: generated.keys,
    ...(generated.keyRing !== undefined && { keyRing: generated.keyRing }),
    services: generated.services
      .filter(({ name }) => Object.hasOwn(chosen, name) || Object.hasOwn(frameworks, name))
      .map((service) => ({ ...service, secret: chosen[service.name] ?? service.secret })),
    queues: Object.entries(queues).map(([name, queue]) => ({ name, ...queue })),
    limits,
    log: logOf(settings, generated.pseudonymKey),
    retention: retention.broker,
    ...ledgerOf(settings, secrets),
    ...metricsOf(metrics.brokerPort),
    ...broker,
  };
}

/** The ways to enrol that a person has set. */
function enrolmentOf({ enrolment }: Settings, secrets: Secrets): EnrolmentConfiguration {
  const { project, database, caFile, ...terms } = enrolment.boinc;
  const { certificate, key } = enrolment.tls;
  const { directory, rules } = enrolment.x509;
  const { boincPassword: password } = secrets;
  const place = database !== undefined && {
    url: database,
    ...(password !== undefined && { password }),
    ...(caFile !== undefined && { caFile }),
  };
  return {
    ...(certificate !== undefined && key !== undefined && { tls: { certificate, key } }),
    oidc: enrolment.oidc ?? [],
    agentsPerOwner: enrolment.agentsPerOwner,
    ...(enrolment.elsewhere && { elsewhere: enrolment.elsewhere }),
    ...(directory !== undefined && rules !== undefined && { x509: { ...enrolment.x509, directory, rules } }),
    ...(place && project !== undefined && { boinc: { ...terms, project, place } }),
  };
}

/** Names of brokers that an XMPP server must know. */
function otherBrokersOf(settings: Settings): Pick<BrokerProgramConfiguration, 'otherBrokers'> {
  const brokers = busesOf(settings).find((bus) => bus.brokers !== undefined)?.brokers;
  return brokers === undefined ? {} : { otherBrokers: brokers };
}

function busOf(bus: BusSettings, password: string | undefined): BusConfiguration {
  const { kind, url, publicUrl, accessPort, managementUrl } = bus;
  const reached = { ...(publicUrl !== undefined && { publicUrl }) };
  if (kind === 'websocket' || url === undefined) return { kind: 'websocket', ...reached };
  if (password === undefined)
    throw new CoPilotError(
      'INVALID_CONFIGURATION',
      'secrets.brokerBus: this installation began without a bus server and has no password for one; say where it lies',
    );
  return {
    kind,
    url,
    password,
    managementUrl,
    ...(isXmppUrl(url) && { componentUrl: componentUrlOf(bus, url) }),
    ...(accessPort !== undefined && { accessPort }),
    ...reached,
  };
}

/** Of the domain whose agents come by `url`; its components come to this machine. */
function componentUrlOf({ componentPort }: BusSettings, url: string): string {
  return `xmpp://127.0.0.1:${componentPort}/${agentPlace(url).domain}`;
}

/** The database of the ledger; nothing where that is a file. */
export function ledgerOf(
  { ledger: { kind, url, failover } }: Settings,
  { ledgerPassword: password }: Secrets,
): Pick<BrokerProgramConfiguration, 'ledger'> {
  if (kind === 'sqlite' || url === undefined) return {};
  return { ledger: { place: { url, ...(password !== undefined && { password }) }, failover } };
}

export function localOf(
  generated: Generated['local'],
  settings: Settings,
  secrets: Secrets,
  /** Of the same machine, where its part can be read. */
  bridge: GeneratedBridge | undefined,
): LocalConfiguration {
  const { queues, metrics, retention } = settings;
  const own = Object.entries(queues).filter(([, { jobAdapter }]) => jobAdapter === generated.name);
  return {
    ...adapterOf(generated, settings, secrets.localBus),
    turns: Object.fromEntries(own.map(([name, queue]) => [name, turnsOf(queue)])),
    retention: retention.local,
    ...metricsOf(metrics.localPort),
    ...(hasIntake(settings) && { intake: intakeOf(settings, bridgeAccess(settings, secrets, bridge)) }),
  };
}

/** The same weights as the leases have: jobs are handed over in the proportion in which they are leased. */
function turnsOf({ share: { owners, campaigns } }: QueueSettings): TurnWeights {
  return { ...(owners && { owners }), ...(campaigns && { campaigns }) };
}

function intakeOf(
  { intake: { http, directory } }: Settings,
  bridge: BridgeAccess | undefined,
): IntakeConfiguration {
  const { port, tokensFile, names } = http;
  const { path } = directory;
  return {
    ...(bridge && { bridge }),
    ...(port !== undefined &&
      tokensFile !== undefined && { http: { port, tokensFile, ...(names && { names }) } }),
    ...(path !== undefined && { directory: { path } }),
  };
}

function bridgeAccess(
  { host, ports, intake }: Settings,
  { operatorToken }: Secrets,
  bridge: GeneratedBridge | undefined,
): BridgeAccess | undefined {
  const token = operatorToken ?? bridge?.operatorToken;
  const port = ports.bridge ?? bridge?.port;
  const url = intake.bridge.url ?? (port === undefined ? undefined : `http://${hereOf(host)}:${port}`);
  return token === undefined || url === undefined ? undefined : { url, token };
}

export function bridgeOf(
  generated: Generated['bridge'],
  settings: Settings,
  secrets: Secrets,
): BridgeConfiguration {
  const { host, ports, publicUrls, metrics, retention } = settings;
  const { digests, ...ceiling } = settings.bridge;
  return {
    ...adapterOf(generated, settings, secrets.bridgeBus),
    host,
    port: ports.bridge ?? generated.port,
    ...(publicUrls.bridge !== undefined && { publicUrl: publicUrls.bridge }),
    grantKey: generated.grantKey,
    operatorToken: secrets.operatorToken ?? generated.operatorToken,
    ceiling,
    ...(digests && { digests }),
    retention: retention.bridge,
    ...metricsOf(metrics.bridgePort),
  };
}

/** What is not said of a framework. */
export const FRAMEWORK_DEFAULTS = { attempts: 1, options: {} } as const;

/** Of a framework that a person has configured under the part's name. */
export function frameworkOf(
  generated: GeneratedAdapter,
  settings: Settings,
  secrets: Secrets,
  bridge: GeneratedBridge | undefined,
): FrameworkConfiguration {
  const entry = settings.frameworks[generated.name];
  if (entry === undefined)
    throw new CoPilotError('INVALID_CONFIGURATION', `frameworks.${generated.name} is not configured`);
  const access = bridgeAccess(settings, secrets, bridge);
  return {
    ...adapterOf(generated, settings, undefined),
    framework: frameworkSettingsOf(entry),
    ...(access && { bridge: access }),
    ...metricsOf(entry.metricsPort),
  };
}

/** An entry of the file as adapters take it. */
export function frameworkSettingsOf(entry: FrameworkEntry): FrameworkSettings {
  const { kind, url, queues, ceilingFile, metricsPort: _, attempts, options, ...credential } = entry;
  return {
    kind,
    url,
    queues,
    credential,
    attempts: attempts ?? FRAMEWORK_DEFAULTS.attempts,
    options: options ?? FRAMEWORK_DEFAULTS.options,
    ...(ceilingFile !== undefined && { ceilingFile }),
  };
}

function adapterOf(
  { installation, name, key, keyId, brokers, busUrl, busSecret, pseudonymKey }: GeneratedAdapter,
  settings: Settings,
  chosen: string | undefined,
): AdapterConfiguration {
  const { host, ports } = settings;
  const port = ports.bus ?? new URL(busUrl).port;
  const embedded = `ws://${hereOf(host)}:${port}/bus`;
  return {
    installation,
    name,
    key,
    keyId,
    brokers,
    busUrls: busesOf(settings).map((bus) => bus.adaptersUrl ?? trustedUrlOf(bus, embedded)),
    busSecret: chosen ?? busSecret,
    log: logOf(settings, pseudonymKey),
  };
}

/** Where whoever is trusted reaches a bus. */
function trustedUrlOf(bus: BusSettings, embedded: string): string {
  const { kind, url = embedded } = bus;
  if (kind === 'websocket') return embedded;
  return isXmppUrl(url) ? componentUrlOf(bus, url) : url;
}

function logOf({ log: { level, format, jobs, owners } }: Settings, pseudonymKey: string): LogConfiguration {
  return { level, format, jobs, owners, pseudonymKey };
}

function metricsOf(port: number | undefined): { readonly metrics?: MetricsConfiguration } {
  return port === undefined ? {} : { metrics: { port } };
}

/** What programs of this machine reach a listening address by. */
export function hereOf(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}
