import { type Ad, parseAd } from '../../../protocol/classad/index.ts';
import { type JdlAttribute, type JdlValue, writeJdl } from '../../../protocol/jdl/index.ts';

/** A class of hosts that are advertised alike: what each of them has at least. Hosts with equal ads are asked for together. */
export interface HostClass {
  readonly host: string;
  /** `ALICE::SITE::NAME`. */
  readonly ce: string;
  readonly closeSe: readonly string[];
  readonly partitions: readonly string[];
  readonly packages: readonly string[];
  readonly installed: readonly string[];
  readonly ttlSeconds: number;
  readonly price: number;
  /** Megabytes. */
  readonly disk: number;
  readonly memory: number;
  readonly cores: number;
  readonly platform: string;
}

/** The advertisement of a class, as the classic services read it. The same class always gives the same text. */
export const hostAd = onceFor(writeHostAd);

/** The same as a ClassAd, to match by. */
export const hostClassAd = onceFor((hosts: HostClass): Ad => parseAd(hostAd(hosts)));

/** Classes are few, and jobs are many. */
function onceFor<T>(make: (hosts: HostClass) => T): (hosts: HostClass) => T {
  const made = new WeakMap<HostClass, { readonly value: T }>();
  return (hosts) => {
    const known = made.get(hosts) ?? { value: make(hosts) };
    made.set(hosts, known);
    return known.value;
  };
}

function writeHostAd(hosts: HostClass): string {
  return writeJdl([
    text('Type', 'machine'),
    expression('Requirements', 'other.Type == "Job"'),
    text('Host', hosts.host),
    text('WNHost', hosts.host),
    text('CE', hosts.ce),
    ...list('CloseSE', hosts.closeSe),
    ...list('GridPartitions', hosts.partitions),
    ...list('Packages', hosts.packages),
    ...list('InstalledPackages', hosts.installed),
    integer('TTL', hosts.ttlSeconds),
    expression('Price', hosts.price.toFixed(2)),
    integer('LocalDiskSpace', hosts.disk),
    integer('Memory', hosts.memory),
    integer('FreeMemory', hosts.memory),
    integer('CPUCores', hosts.cores),
    text('Platform', hosts.platform),
  ]);
}

function text(name: string, value: string): JdlAttribute {
  return { name, value: { kind: 'text', text: value } };
}

function integer(name: string, value: number): JdlAttribute {
  return { name, value: { kind: 'integer', value: BigInt(value) } };
}

function expression(name: string, value: string): JdlAttribute {
  const kind: JdlValue = /^[0-9.]+$/.test(value)
    ? { kind: 'real', value: Number(value) }
    : { kind: 'expression', text: value };
  return { name, value: kind };
}

function list(name: string, items: readonly string[]): readonly JdlAttribute[] {
  const unique = [...new Set(items)];
  return unique.length === 0 ? [] : [{ name, value: { kind: 'list', items: unique } }];
}
