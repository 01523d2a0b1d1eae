import { nearestName } from '../campaign/nearest-name.ts';
import type { FieldPath } from '../campaign/problem.ts';
import type { BusKind, QueueSettings, Settings } from './settings.ts';

/** A fault that no single value shows. */
export interface CrossFault {
  readonly path: FieldPath;
  readonly message: string;
}

const DAY_MS = 86_400_000;
const JOB_ADAPTERS = ['local'];
const STORAGE_ADAPTERS = ['bridge'];

/** What does not go together, each at the value that is best changed. */
export function crossFaults(settings: Settings): readonly CrossFault[] {
  return [
    ...portFaults(settingPorts(settings)),
    ...intakeFaults(settings),
    ...retentionFaults(settings),
    ...busFaults(settings),
    ...addressFaults(settings),
    ...ledgerFaults(settings),
    ...limitFaults(settings),
    ...Object.entries(settings.queues).flatMap(([name, queue]) => queueFaults(name, queue)),
  ];
}

/** Where something listens on this machine. */
export interface NamedPort {
  readonly path: readonly string[];
  readonly port: number;
}

/** Every port that is set. */
export function settingPorts({ ports, metrics, intake }: Settings): readonly NamedPort[] {
  const named = [
    ...Object.entries(ports).map(([name, port]) => [['ports', name], port] as const),
    [['intake', 'http', 'port'], intake.http.port] as const,
    ...Object.entries(metrics).map(([name, port]) => [['metrics', name], port] as const),
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

/** A server has an address, and everybody is on the same bus. */
function busFaults({ bus, adapters, publicUrls }: Settings): readonly CrossFault[] {
  if (bus.kind !== 'websocket' && bus.url === undefined)
    return [{ path: ['bus', 'url'], message: 'is needed: a bus server is reached by its address' }];
  const { agents, trusted } = SCHEMES[bus.kind];
  const urls = [
    [['bus', 'url'], bus.kind === 'websocket' ? undefined : bus.url, agents],
    [['adapters', 'busUrl'], adapters.busUrl, trusted],
    [['publicUrls', 'bus'], publicUrls.bus, agents],
  ] as const;
  return [
    ...urls.flatMap(([path, url, scheme]) =>
      url === undefined || scheme.test(url)
        ? []
        : [{ path, message: `is no address of the bus, which is ${bus.kind}` }],
    ),
    ...componentFaults(adapters.busUrl, bus.kind),
  ];
}

function componentFaults(url: string | undefined, kind: BusKind): readonly CrossFault[] {
  if (SCHEMES[kind] !== XMPP_SCHEMES || url === undefined || isLoopback(new URL(url).hostname)) return [];
  return [
    {
      path: ['adapters', 'busUrl'],
      message: 'is on another machine, and adapters reach an XMPP server in the clear; make a tunnel',
    },
  ];
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

function addressFaults({ host, bus, publicUrls, adapters, intake }: Settings): readonly CrossFault[] {
  const urls = [
    ...(['bus', 'enrolment', 'bridge'] as const).map(
      (name) => ['publicUrls', name, publicUrls[name]] as const,
    ),
    ['bus', 'url', bus.url] as const,
    ['adapters', 'busUrl', adapters.busUrl] as const,
    ['intake.bridge', 'url', intake.bridge.url] as const,
  ];
  return urls.flatMap(([section, name, url]) => {
    const path = [...section.split('.'), name];
    if (url === undefined)
      return isLoopback(host) || section !== 'publicUrls'
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

function queueFaults(name: string, queue: QueueSettings): readonly CrossFault[] {
  const path = (key: keyof QueueSettings): FieldPath => ['queues', name, key];
  return [
    ...atMost(queue.firstRenewMs, queue.leaseMs, path('firstRenewMs'), `queues.${name}.leaseMs`),
    ...known(queue.jobAdapter, JOB_ADAPTERS, path('jobAdapter')),
    ...known(queue.storageAdapter, STORAGE_ADAPTERS, path('storageAdapter')),
  ];
}

function atMost(value: number, most: number, path: FieldPath, other: string): readonly CrossFault[] {
  return value <= most ? [] : [{ path, message: `is ${value}, more than ${other}, which is ${most}` }];
}

function known(name: string, adapters: readonly string[], path: FieldPath): readonly CrossFault[] {
  if (adapters.includes(name)) return [];
  const nearest = nearestName(name, adapters);
  const right = nearest === undefined ? `known are ${adapters.join(', ')}` : `did you mean ${nearest}?`;
  return [{ path, message: `there is no adapter ${name}; ${right}` }];
}

function isSafe(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  // An XMPP server off this machine is asked for TLS before a login.
  return ['https:', 'wss:', 'amqps:', 'xmpps:', 'xmpp:'].includes(protocol) || isLoopback(hostname);
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(?:\.[0-9]{1,3}){3}$/.test(host);
}
