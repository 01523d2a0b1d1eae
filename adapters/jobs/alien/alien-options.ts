import { CoPilotError } from '../../../protocol/errors.ts';
import type { FrameworkSettings, OptionValue } from '../kit/framework-kind.ts';
import type { HostClass } from './host-ad.ts';

/** What AliEn's adapter is told beside what every framework's is. */
export interface AlienOptions {
  /** How jobs are fetched. */
  readonly way: 'classic' | 'side';
  readonly user: string;
  /** Addresses of the classic services; the framework's `url` where one is left out. */
  readonly broker: string | undefined;
  readonly manager: string | undefined;
  readonly jobInfo: string | undefined;
  readonly clusterMonitor: string | undefined;
  /** A directory that mirrors the catalogue; without it the catalogue is that of `jalien`. */
  readonly catalogueDirectory: string | undefined;
  /** The WebSocket of a JAliEn central service. */
  readonly jalien: string | undefined;
  readonly xrdcp: string;
  readonly pollSeconds: number;
  readonly heartbeatSeconds: number;
  readonly lookSeconds: number;
  readonly waitSeconds: number;
  /** About the machines of the agents, beside what follows from the job. */
  readonly requirements: string;
  /** Of every queue, but for its name. */
  readonly hosts: Omit<HostClass, 'ce'>;
}

type Options = Readonly<Record<string, OptionValue>>;

const KNOWN = new Set([
  'way',
  'user',
  'broker',
  'manager',
  'jobInfo',
  'clusterMonitor',
  'catalogueDirectory',
  'jalien',
  'xrdcp',
  'pollSeconds',
  'heartbeatSeconds',
  'lookSeconds',
  'waitSeconds',
  'requirements',
  'host',
  'closeSe',
  'partitions',
  'packages',
  'installedPackages',
  'ttlSeconds',
  'price',
  'disk',
  'memory',
  'cores',
  'platform',
]);

/** Throws `INVALID_CONFIGURATION` with the key's name. */
export function alienOptions({ options, queues }: FrameworkSettings): AlienOptions {
  const unknown = Object.keys(options).find((key) => !KNOWN.has(key));
  if (unknown !== undefined) throw wrong(unknown, `is no option; known are ${[...KNOWN].join(', ')}`);
  for (const ce of Object.values(queues))
    if (!/^[\w-]{1,64}::[\w-]{1,64}::[\w.-]{1,64}$/.test(ce))
      throw wrong('queues', `name computing elements such as ALICE::SITE::NAME, not ${ce}`);
  const way = text(options, 'way', 'classic');
  if (way !== 'classic' && way !== 'side') throw wrong('way', 'is classic or side');
  const result: AlienOptions = {
    way,
    user: plain(options, 'user'),
    broker: optionalText(options, 'broker'),
    manager: optionalText(options, 'manager'),
    jobInfo: optionalText(options, 'jobInfo'),
    clusterMonitor: optionalText(options, 'clusterMonitor'),
    catalogueDirectory: optionalText(options, 'catalogueDirectory'),
    jalien: optionalText(options, 'jalien'),
    xrdcp: text(options, 'xrdcp', 'xrdcp'),
    pollSeconds: whole(options, 'pollSeconds', 15, [1, 3600]),
    heartbeatSeconds: whole(options, 'heartbeatSeconds', 60, [1, 1800]),
    lookSeconds: whole(options, 'lookSeconds', 30, [1, 3600]),
    waitSeconds: whole(options, 'waitSeconds', 21_600, [0, 604_800]),
    requirements: text(options, 'requirements', ''),
    hosts: hostsOf(options),
  };
  if ((result.catalogueDirectory === undefined) === (result.jalien === undefined))
    throw wrong('catalogueDirectory', 'or jalien is given, one of the two');
  return result;
}

function hostsOf(options: Options): AlienOptions['hosts'] {
  const packages = list(options, 'packages');
  return {
    host: plain(options, 'host', 'co-pilot'),
    closeSe: list(options, 'closeSe'),
    partitions: list(options, 'partitions'),
    packages,
    installed: Object.hasOwn(options, 'installedPackages') ? list(options, 'installedPackages') : packages,
    ttlSeconds: whole(options, 'ttlSeconds', 43_200, [60, 2_592_000]),
    price: numberIn(options, 'price', 1),
    disk: whole(options, 'disk', 20_000, [1, 16_777_216]),
    memory: whole(options, 'memory', 2048, [16, 16_777_216]),
    cores: whole(options, 'cores', 1, [1, 1024]),
    platform: text(options, 'platform', 'Linux-x86_64'),
  };
}

function optionalText(options: Options, key: string): string | undefined {
  const value = options[key];
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || !/^[^"\u0000-\u001f]{1,512}$/.test(value)) throw wrong(key, 'is a text');
  return value;
}

function text(options: Options, key: string, otherwise: string): string {
  return options[key] === '' ? '' : (optionalText(options, key) ?? otherwise);
}

function plain(options: Options, key: string, otherwise?: string): string {
  const value = optionalText(options, key) ?? otherwise;
  if (value === undefined || !/^[A-Za-z0-9._-]{1,128}$/.test(value))
    throw wrong(key, 'is a name of letters, digits, points, _ and -');
  return value;
}

function whole(
  options: Options,
  key: string,
  otherwise: number,
  [least, most]: readonly [number, number],
): number {
  const value = options[key] ?? otherwise;
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw wrong(key, `is a whole number from ${least} to ${most}`);
}

function numberIn(options: Options, key: string, otherwise: number): number {
  const value = options[key] ?? otherwise;
  if (typeof value === 'number' && value >= 0 && value <= 1_000_000) return value;
  throw wrong(key, 'is a number from 0');
}

function list(options: Options, key: string): readonly string[] {
  const value = options[key] ?? [];
  const items = typeof value === 'string' ? [value] : value;
  if (!isList(items) || items.length > 1024) throw wrong(key, 'is a list of at most 1024 names');
  const bad = items.find((item) => !/^[\w@:.+-]{1,256}$/.test(item));
  if (bad !== undefined) throw wrong(key, `cannot name ${JSON.stringify(bad.slice(0, 40))}`);
  return items;
}

function isList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function wrong(key: string, why: string): CoPilotError {
  return new CoPilotError('INVALID_CONFIGURATION', `options of the alien framework: ${key} ${why}`);
}
