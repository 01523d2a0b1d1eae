import type { FieldPath } from '../campaign/problem.ts';
import { type CrossFault, known } from './cross-fault.ts';
import { frameworkFaults } from './framework-faults.ts';
import { isLoopback, isSafe } from './safe-address.ts';
import { busesOf, isList, type PlacedBus } from './buses.ts';
import type { BusKind, BusSettings, EnrolmentSettings, QueueSettings, Settings } from './settings.ts';

const DAY_MS = 86_400_000;
const LOCAL_ADAPTER = 'local';
const STORAGE_ADAPTERS = ['bridge'];
/** What owners' names of other ways to enrol begin with. */
const OTHER_REALMS = ['boinc', 'x509'];

/** What does not go together, each at the value that is best changed. */
export function crossFaults(settings: Settings): readonly CrossFault[] {
  return [
    ...portFaults(settingPorts(settings)),
    ...intakeFaults(settings),
    ...retentionFaults(settings),
    ...busFaults(settings),
    ...addressFaults(settings),
    ...boincFaults(settings.enrolment),
    ...providerFaults(settings.enrolment),
    ...tlsFaults(settings.enrolment),
    ...certificateFaults(settings.enrolment),
    ...ledgerFaults(settings),
    ...limitFaults(settings),
    ...frameworkFaults(settings),
    ...Object.entries(settings.queues).flatMap(([name, queue]) => queueFaults(name, queue, settings)),
  ];
}

/** Where something listens on this machine. */
export interface NamedPort {
  readonly path: FieldPath;
  readonly port: number;
}

/** Every port that is set. */
export function settingPorts(settings: Settings): readonly NamedPort[] {
  const { ports, metrics, intake, frameworks } = settings;
  const named = [
    ...Object.entries(ports).map(([name, port]) => [['ports', name], port] as const),
    ...busesOf(settings).map(({ path, accessPort }) => [[...path, 'accessPort'], accessPort] as const),
    [['intake', 'http', 'port'], intake.http.port] as const,
    ...Object.entries(metrics).map(([name, port]) => [['metrics', name], port] as const),
    ...Object.entries(frameworks).map(
      ([name, { metricsPort }]) => [['frameworks', name, 'metricsPort'], metricsPort] as const,
    ),
  ];
  return named.flatMap(([path, port]) => (port === undefined ? [] : [{ path, port }]));
}

/** Ports that an earlier one is already. */
export function portFaults(ports: readonly NamedPort[]): readonly CrossFault[] {
  return ports.flatMap(({ path, port }, at) => {
    const other = ports.slice(0, at).find((earlier) => earlier.port === port);
    return other === undefined ? [] : [{ path, message: `is the port of ${other.path.join('.')} too` }];
  });
}

function intakeFaults({ intake: { http } }: Settings): readonly CrossFault[] {
  const said = Object.keys(http).length > 0;
  const missing = (['port', 'tokensFile'] as const).filter((key) => said && http[key] === undefined);
  return missing.map((key) => ({
    path: ['intake', 'http', key],
    message: 'is needed: HTTP is opened by a port and a file of tokens',
  }));
}

const XMPP_SCHEMES = { agents: /^xmpps?:|^wss?:.*\/xmpp-websocket$/, trusted: /^xmpp:/ };

/** How addresses of a bus begin. Where agents come by a WebSocket, adapters still do not. */
const SCHEMES: Readonly<Record<BusKind, { readonly agents: RegExp; readonly trusted: RegExp }>> = {
  websocket: { agents: /^wss?:/, trusted: /^wss?:/ },
  rabbitmq: { agents: /^amqps?:/, trusted: /^amqps?:/ },
  prosody: XMPP_SCHEMES,
  ejabberd: XMPP_SCHEMES,
};

/** Each bus has the addresses that it takes, and is another one than the others. */
function busFaults(settings: Settings): readonly CrossFault[] {
  const buses = busesOf(settings);
  return [...severalFaults(settings), ...buses.flatMap(oneBusFaults), ...accessFaults(buses, settings)];
}

/** What stands beside the list cannot say which of them it means. */
function severalFaults({ bus, publicUrls, adapters }: Settings): readonly CrossFault[] {
  if (!isList(bus)) return [];
  const beside = [
    [['publicUrls', 'bus'], publicUrls.bus, 'publicUrl'],
    [['adapters', 'busUrl'], adapters.busUrl, 'adaptersUrl'],
  ] as const;
  return [
    ...beside.flatMap(([path, url, key]) =>
      url === undefined ? [] : [{ path, message: `is for one bus; write ${key} into the list` }],
    ),
    ...bus.flatMap(({ kind }, at) =>
      bus.findIndex((other) => other.kind === kind) === at
        ? []
        : [{ path: ['bus', at, 'kind'], message: 'is in the list already' }],
    ),
    ...portFaults(bus.flatMap(componentPortOf)),
  ];
}

/** Two XMPP servers cannot have the same one. */
function componentPortOf({ kind, componentPort: port }: BusSettings, at: number): readonly NamedPort[] {
  return SCHEMES[kind] === XMPP_SCHEMES ? [{ path: ['bus', at, 'componentPort'], port }] : [];
}

function oneBusFaults({ kind, url, publicUrl, adaptersUrl, path }: PlacedBus): readonly CrossFault[] {
  if (kind !== 'websocket' && url === undefined)
    return [{ path: [...path, 'url'], message: 'is needed: a bus server is reached by its address' }];
  const isAlone = path.length === 1;
  const { agents, trusted } = SCHEMES[kind];
  const adaptersPath = isAlone ? ['adapters', 'busUrl'] : [...path, 'adaptersUrl'];
  const urls = [
    [[...path, 'url'], kind === 'websocket' ? undefined : url, agents],
    [adaptersPath, adaptersUrl, trusted],
    [isAlone ? ['publicUrls', 'bus'] : [...path, 'publicUrl'], publicUrl, agents],
  ] as const;
  return [
    ...urls.flatMap(([place, address, scheme]) =>
      address === undefined || scheme.test(address)
        ? []
        : [{ path: place, message: `is no address of the bus, which is ${kind}` }],
    ),
    ...componentFaults(adaptersPath, adaptersUrl, kind),
  ];
}

function componentFaults(path: FieldPath, url: string | undefined, kind: BusKind): readonly CrossFault[] {
  if (SCHEMES[kind] !== XMPP_SCHEMES || url === undefined || isLoopback(new URL(url).hostname)) return [];
  return [
    {
      path,
      message: 'is on another machine, and adapters reach an XMPP server in the clear; make a tunnel',
    },
  ];
}

/** A server cannot ask where agents connect, and each asks at a port of its own. */
function accessFaults(buses: readonly PlacedBus[], { ports }: Settings): readonly CrossFault[] {
  if (buses.length === 1) return [];
  return buses.flatMap(({ kind, accessPort, path }) =>
    kind === 'websocket' || (accessPort !== undefined && accessPort !== ports.bus)
      ? []
      : [
          {
            path: [...path, 'accessPort'],
            message: 'is needed: of several buses each server asks at a port of its own',
          },
        ],
  );
}

/** What is kept must outlive what may still ask for it. */
function retentionFaults({ retention: { broker, bridge }, queues }: Settings): readonly CrossFault[] {
  const { jobDays, tombstoneDays } = broker;
  const unfinishedMs = bridge.unfinishedDays * DAY_MS;
  const path = ['retention', 'bridge', 'unfinishedDays'];
  return [
    ...atMost(jobDays, tombstoneDays, ['retention', 'broker', 'jobDays'], 'retention.broker.tombstoneDays'),
    ...Object.entries(queues)
      .filter(([, { leaseMs }]) => leaseMs >= unfinishedMs)
      .map(([name]) => ({ path, message: `is no longer than a lease of queue ${name}` })),
  ];
}

function addressFaults(settings: Settings): readonly CrossFault[] {
  const { host, publicUrls, intake } = settings;
  const urls = [
    ...busesOf(settings).flatMap(addressesOf),
    { path: ['publicUrls', 'enrolment'], url: publicUrls.enrolment, isPublic: true },
    { path: ['publicUrls', 'bridge'], url: publicUrls.bridge, isPublic: true },
    { path: ['intake', 'bridge', 'url'], url: intake.bridge.url, isPublic: false },
  ];
  return urls.flatMap(({ path, url, isPublic }) => {
    if (url === undefined)
      return isLoopback(host) || !isPublic
        ? []
        : [{ path, message: `is needed: ${host} is reached from other machines, which takes TLS in front` }];
    return isSafe(url)
      ? []
      : [
          {
            path,
            message:
              'leaves this machine without TLS; put a proxy in front and write https://, wss://, amqps:// or xmpps://',
          },
        ];
  });
}

/** Alone, a bus has what agents and adapters reach it by beside it. */
function addressesOf({ kind, url, publicUrl, adaptersUrl, managementUrl, path }: PlacedBus) {
  const isAlone = path.length === 1;
  return [
    {
      path: isAlone ? ['publicUrls', 'bus'] : [...path, 'publicUrl'],
      url: publicUrl,
      isPublic: isAlone || kind === 'websocket',
    },
    { path: [...path, 'url'], url, isPublic: false },
    { path: [...path, 'managementUrl'], url: managementUrl, isPublic: false },
    { path: isAlone ? ['adapters', 'busUrl'] : [...path, 'adaptersUrl'], url: adaptersUrl, isPublic: false },
  ];
}

/** An owner's name begins with the provider's, and tokens tell providers apart by the issuer. */
function providerFaults({ oidc = [] }: EnrolmentSettings): readonly CrossFault[] {
  return oidc.flatMap(({ name, issuer }, at) => {
    const earlier = oidc.slice(0, at);
    const path = (key: string): FieldPath => ['enrolment', 'oidc', at, key];
    return [
      ...(earlier.some((other) => other.name === name) || OTHER_REALMS.includes(name)
        ? [{ path: path('name'), message: `is taken: owners that begin with ${name} are others already` }]
        : []),
      ...(earlier.some((other) => other.issuer === issuer)
        ? [{ path: path('issuer'), message: 'is that of another provider too' }]
        : []),
      ...(isSafe(issuer)
        ? []
        : [{ path: path('issuer'), message: 'is reached without TLS; write https://' }]),
    ];
  });
}

/** A project has a name and a database, or is not there. */
function boincFaults({ boinc }: EnrolmentSettings): readonly CrossFault[] {
  const { project, database, caFile } = boinc;
  const isSaid = [project, database, caFile].some((value) => value !== undefined);
  const missing = (['project', 'database'] as const).filter((key) => isSaid && boinc[key] === undefined);
  return missing.map((key) => ({
    path: ['enrolment', 'boinc', key],
    message: 'is needed: volunteers enrol with accounts of a project, which are in its database',
  }));
}

function tlsFaults({ tls }: EnrolmentSettings): readonly CrossFault[] {
  const said = Object.keys(tls).length > 0;
  const missing = (['certificate', 'key'] as const).filter((key) => said && tls[key] === undefined);
  return missing.map((key) => ({
    path: ['enrolment', 'tls', key],
    message: 'is needed: TLS takes a certificate and its key',
  }));
}

function certificateFaults({ x509 }: EnrolmentSettings): readonly CrossFault[] {
  const keys = ['directory', 'rules'] as const;
  const missing = keys.filter((key) => x509[key] === undefined);
  return missing.length === keys.length
    ? []
    : missing.map((key) => ({
        path: ['enrolment', 'x509', key],
        message: 'is needed: certificates take a directory of authorities, and rules',
      }));
}

function ledgerFaults({ ledger: { kind, url, failover } }: Settings): readonly CrossFault[] {
  const path = ['ledger', 'url'];
  if (kind === 'sqlite') {
    const set = [...(url === undefined ? [] : ['url']), ...(failover ? ['failover'] : [])];
    return set.map((key) => ({ path: ['ledger', key], message: 'is for a ledger of kind postgres' }));
  }
  if (url === undefined) return [{ path, message: 'is needed for a ledger of kind postgres' }];
  const { hostname, searchParams } = new URL(url);
  const host = searchParams.get('host') ?? hostname;
  const isHere = host === '' || host.startsWith('/') || isLoopback(host);
  return isHere || searchParams.get('sslmode') === 'verify-full'
    ? []
    : [{ path, message: 'leaves this machine without TLS; add ?sslmode=verify-full' }];
}

function limitFaults({ limits, bridge }: Settings): readonly CrossFault[] {
  return [
    ...atMost(limits.coolDownMs, limits.maxCoolDownMs, ['limits', 'coolDownMs'], 'limits.maxCoolDownMs'),
    ...atMost(
      bridge.maxFileBytes,
      bridge.maxAttemptBytes,
      ['bridge', 'maxFileBytes'],
      'bridge.maxAttemptBytes',
    ),
    ...atMost(
      bridge.maxAttemptBytes,
      bridge.maxTotalBytes,
      ['bridge', 'maxAttemptBytes'],
      'bridge.maxTotalBytes',
    ),
  ];
}

function queueFaults(name: string, queue: QueueSettings, { frameworks }: Settings): readonly CrossFault[] {
  const path = (key: keyof QueueSettings): FieldPath => ['queues', name, key];
  return [
    ...atMost(queue.firstRenewMs, queue.leaseMs, path('firstRenewMs'), `queues.${name}.leaseMs`),
    ...known(
      queue.jobAdapter,
      { what: 'adapter', names: [LOCAL_ADAPTER, ...Object.keys(frameworks)] },
      path('jobAdapter'),
    ),
    ...known(queue.storageAdapter, { what: 'adapter', names: STORAGE_ADAPTERS }, path('storageAdapter')),
  ];
}

function atMost(value: number, most: number, path: FieldPath, other: string): readonly CrossFault[] {
  return value <= most ? [] : [{ path, message: `is ${value}, more than ${other}, which is ${most}` }];
}
