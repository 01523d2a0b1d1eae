import { nearestName } from '../campaign/nearest-name.ts';
import type { FieldPath } from '../campaign/problem.ts';
import type { QueueSettings, Settings } from './settings.ts';

/** A fault that no single value shows. */
export interface CrossFault {
  readonly path: FieldPath;
  readonly message: string;
}

const JOB_ADAPTERS = ['local'];
const STORAGE_ADAPTERS = ['bridge'];

/** What does not go together, each at the value that is best changed. */
export function crossFaults(settings: Settings): readonly CrossFault[] {
  return [
    ...portFaults(settings),
    ...addressFaults(settings),
    ...limitFaults(settings),
    ...Object.entries(settings.queues).flatMap(([name, queue]) => queueFaults(name, queue)),
  ];
}

function portFaults({ ports }: Settings): readonly CrossFault[] {
  const entries = Object.entries(ports);
  return entries.flatMap(([name, port], at) => {
    const [other] = entries.slice(0, at).find(([, earlier]) => earlier === port) ?? [];
    return other === undefined ? [] : [{ path: ['ports', name], message: `is the port of ${other} too` }];
  });
}

function addressFaults({ host, publicUrls, adapters }: Settings): readonly CrossFault[] {
  const urls = [
    ...(['bus', 'enrolment', 'bridge'] as const).map(
      (name) => ['publicUrls', name, publicUrls[name]] as const,
    ),
    ['adapters', 'busUrl', adapters.busUrl] as const,
  ];
  return urls.flatMap(([section, name, url]) => {
    const path = [section, name];
    if (url === undefined)
      return isLoopback(host) || section === 'adapters'
        ? []
        : [{ path, message: `is needed: ${host} is reached from other machines, which takes TLS in front` }];
    return isSafe(url)
      ? []
      : [
          {
            path,
            message: 'leaves this machine without TLS; put a proxy in front and write https:// or wss://',
          },
        ];
  });
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
  return protocol === 'https:' || protocol === 'wss:' || isLoopback(hostname);
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(?:\.[0-9]{1,3}){3}$/.test(host);
}
