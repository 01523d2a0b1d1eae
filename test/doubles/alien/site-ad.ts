import { jdlInteger, jdlList, jdlText, type Jdl } from '../../../protocol/jdl/index.ts';

/** What the central services take from a host's advertisement: no ClassAd is evaluated, neither here nor there. */
export interface SiteAd {
  readonly ce: string;
  readonly ttl: number;
  readonly disk: number | undefined;
  readonly packages: readonly string[];
  readonly installed: readonly string[];
  readonly partitions: readonly string[];
  readonly price: number;
  readonly users: readonly string[];
}

export function siteAdOf(jdl: Jdl): SiteAd {
  const requirements = jdlText(jdl, 'Requirements') ?? '';
  return {
    ce: jdlText(jdl, 'CE') ?? '',
    ttl: jdlInteger(jdl, 'TTL') ?? 84_000,
    disk: jdlInteger(jdl, 'LocalDiskSpace'),
    packages: jdlList(jdl, 'Packages'),
    installed: jdlList(jdl, 'InstalledPackages'),
    partitions: jdlList(jdl, 'GridPartitions'),
    price: Number(jdlText(jdl, 'Price') ?? 1),
    users: [...requirements.matchAll(/other\.user\s*==\s*"([^"]*)"/gi)].map(([, user = '']) => user),
  };
}

/** What a job's requirements ask of a host, by the patterns that the central services know; the rest is passed over. */
export interface JobNeeds {
  readonly packages: readonly string[];
  readonly partitions: readonly string[];
  readonly ces: readonly string[];
  readonly excludedCes: readonly string[];
  readonly ttl: number;
  readonly disk: number;
}

export function needsOf(jdl: Jdl): JobNeeds {
  const requirements = jdlText(jdl, 'Requirements') ?? '';
  const all = (pattern: RegExp): readonly string[] =>
    [...requirements.matchAll(pattern)].map(([, found = '']) => found);
  const excluded = all(/!\s*other\.CE\s*==\s*"([^"]*)"/gi);
  return {
    packages: [...jdlList(jdl, 'Packages'), ...all(/member\(other\.Packages\s*,\s*"([^"]*)"\)/gi)],
    partitions: all(/member\(other\.GridPartitions\s*,\s*"([^"]*)"\)/gi),
    ces: all(/other\.CE\s*==\s*"([^"]*)"/gi).filter((ce) => !excluded.includes(ce)),
    excludedCes: excluded,
    ttl: Number(all(/other\.TTL\s*>\s*([0-9]+)/gi)[0] ?? jdlInteger(jdl, 'TTL') ?? 18_000),
    disk: Number(all(/other\.LocalDiskSpace\s*>\s*([0-9]+)/gi)[0] ?? 0),
  };
}

/** The packages a host lacks for a job; undefined where it cannot run it at all. */
export function lackingPackages(needs: JobNeeds, site: SiteAd, user: string): readonly string[] | undefined {
  const fits =
    needs.ttl < site.ttl &&
    (site.disk === undefined || needs.disk < site.disk) &&
    needs.partitions.every((partition) => site.partitions.includes(partition)) &&
    (needs.ces.length === 0 || needs.ces.includes(site.ce)) &&
    !needs.excludedCes.includes(site.ce) &&
    (site.users.length === 0 || site.users.includes(user)) &&
    needs.packages.every((name) => site.packages.includes(name) || site.installed.includes(name));
  return fits ? needs.packages.filter((name) => !site.installed.includes(name)) : undefined;
}
