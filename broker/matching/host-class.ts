import { type Ad, adFromJson } from '../../protocol/classad/index.ts';
import type { HostAd } from '../../protocol/generated/types.ts';
import { type Bucket, bucketMatches } from './bucket.ts';

/** Hosts with equal ads; each bucket is evaluated once for a class. */
export interface HostClass {
  readonly key: string;
  readonly ad: Ad;
  readonly verdicts: Map<string, boolean>;
}

const MAX_CLASSES = 4096;
const MAX_VERDICTS = 16_384;

/** Remembers the classes seen; the oldest is forgotten at the bound, which costs an evaluation and nothing else. */
export function createHostClasses(): (ad: HostAd) => HostClass {
  const classes = new Map<string, HostClass>();
  return (hostAd) => {
    const key = JSON.stringify(Object.entries(hostAd).sort(([a], [b]) => (a < b ? -1 : 1)));
    const known = classes.get(key);
    if (known !== undefined) return known;
    const literals = Object.fromEntries(
      Object.entries(hostAd).filter(
        (entry): entry is [string, string | number | boolean] => entry[1] !== undefined,
      ),
    );
    const made: HostClass = { key, ad: adFromJson(literals), verdicts: new Map() };
    if (classes.size >= MAX_CLASSES) forgetOldest(classes);
    classes.set(key, made);
    return made;
  };
}

/** Whether the class satisfies the bucket; evaluated once. */
export function classMatches(host: HostClass, bucket: Bucket): boolean {
  const known = host.verdicts.get(bucket.key);
  if (known !== undefined) return known;
  const verdict = bucketMatches(bucket, host.ad);
  if (host.verdicts.size >= MAX_VERDICTS) forgetOldest(host.verdicts);
  host.verdicts.set(bucket.key, verdict);
  return verdict;
}

function forgetOldest(map: Map<string, unknown>): void {
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}
