import { type Bucket, bucketKey, bucketOf } from '../matching/bucket.ts';
import { classMatches, type HostClass } from '../matching/host-class.ts';
import { type Place, Pool } from '../matching/pool.ts';
import type { Waiting } from '../matching/waiting.ts';
import type { Weights } from '../matching/weights.ts';
import type { JobRow } from '../core/state.ts';
import type { Description } from '../../protocol/generated/types.ts';
import type { Runtime } from '../../protocol/runtime/runtime.ts';

/** A request that waits for work; soft state, the agent asks again after the wait. */
export interface Parked {
  /** Agent and slot: a newer request of the same slot takes the older one's place. */
  readonly key: string;
  readonly counter: number;
  /** Whose session asked: when it goes, so does the request. */
  readonly holder: object;
  readonly host: HostClass;
  readonly expiresMs: number;
  /** Work that its host may run has come. */
  readonly wake: () => void;
  /** It waited long enough. */
  readonly expire: () => void;
}

export interface AvailableJobs {
  /** The job waits for an agent now; wakes the request that has waited longest among those that match. */
  offer(job: JobRow, describe: () => Promise<Description | undefined>): Promise<void>;
  withdraw(job: JobRow): void;
  take(host: HostClass): Waiting | undefined;
  /** Whether `take` would find one. */
  has(host: HostClass): boolean;
  /** A job that was taken and could not be leased to that agent. */
  putBack(waiting: Waiting): void;
  /** A job that was taken and is gone: nobody had a turn. */
  refund(waiting: Waiting): void;
  /** What goes before a job that waits; undefined where it does not. */
  placeOf(job: string): Place | undefined;
  /** Key of the bucket such a job belongs to; throws `CLASSAD_SYNTAX`. */
  bucketKeyOf(description: Description, queue: string): string;
  /** False at the bound. */
  park(request: Parked): boolean;
  unpark(key: string): Parked | undefined;
  /** Forgets what a holder that is gone waits for: a job given to nobody would be lost for a whole lease. */
  leave(holder: object): void;
  parkedCounter(key: string): number | undefined;
  readonly parked: number;
  waitingIn(queue: string): number;
  /** Answers the requests that waited long enough. */
  expire(nowMs: number): void;
}

const MAX_BUCKETS = 8192;

/** Jobs that wait for agents and agents that wait for jobs. */
export function createAvailableJobs(runtime: Runtime, maxParked: number, weights?: Weights): AvailableJobs {
  const pool = new Pool(weights);
  const buckets = new Map<string, Bucket>();
  const parked = new Map<string, Parked>();
  const byClass = new Map<HostClass, Set<Parked>>();
  const byHolder = new Map<object, Set<Parked>>();

  function remember(queue: string, description: Description): Bucket {
    const sha256 = (data: Uint8Array): Uint8Array => runtime.crypto.sha256(data);
    const known = buckets.get(bucketKey(sha256, queue, description));
    if (known !== undefined) return known;
    const made = bucketOf(sha256, queue, description);
    if (buckets.size >= MAX_BUCKETS) forgetOldest(buckets);
    buckets.set(made.key, made);
    return made;
  }

  function unpark(key: string): Parked | undefined {
    const request = parked.get(key);
    if (request === undefined) return undefined;
    parked.delete(key);
    removeFrom(byClass, request.host, request);
    removeFrom(byHolder, request.holder, request);
    return request;
  }

  /** The longest waiting request of the first class that matches: no work per parked request. */
  function wakeOne(bucket: Bucket): void {
    for (const [host, requests] of byClass) {
      if (!classMatches(host, bucket)) continue;
      const [first] = requests;
      if (first !== undefined) unpark(first.key)?.wake();
      return;
    }
  }

  function add(job: JobRow, bucket: Bucket): void {
    const { id, queue, owner, campaign, priority } = job;
    pool.add({ job: id, queue, owner, campaign, priority }, bucket, job.lastAttempt > 0);
    wakeOne(bucket);
  }

  return {
    async offer(job, describe) {
      const known = buckets.get(job.bucket);
      const description = known === undefined ? await describe() : undefined;
      const bucket = known ?? (description && remember(job.queue, description));
      if (bucket !== undefined) add(job, bucket);
    },
    withdraw: (job) => pool.remove(job.id),
    take: (host) => pool.take(host),
    has: (host) => pool.has(host),
    putBack(waiting) {
      const bucket = buckets.get(waiting.bucket);
      if (bucket === undefined) return;
      pool.putBack(waiting, bucket);
      wakeOne(bucket);
    },
    refund: (waiting) => pool.refund(waiting),
    placeOf: (job) => pool.placeOf(job),
    bucketKeyOf: (description, queue) => remember(queue, description).key,
    park(request) {
      unpark(request.key);
      if (parked.size >= maxParked) return false;
      parked.set(request.key, request);
      addTo(byClass, request.host, request);
      addTo(byHolder, request.holder, request);
      return true;
    },
    unpark,
    leave(holder) {
      for (const { key } of byHolder.get(holder) ?? []) unpark(key);
    },
    parkedCounter: (key) => parked.get(key)?.counter,
    get parked() {
      return parked.size;
    },
    waitingIn: (queue) => pool.sizeOf(queue),
    expire(nowMs) {
      for (const request of parked.values()) {
        // Not in order of expiry: one that was woken in vain is back behind later ones, with its own time.
        if (request.expiresMs <= nowMs) unpark(request.key)?.expire();
      }
    },
  };
}

function addTo<K, V>(sets: Map<K, Set<V>>, key: K, value: V): void {
  const set = sets.get(key) ?? new Set<V>();
  sets.set(key, set.add(value));
}

function removeFrom<K, V>(sets: Map<K, Set<V>>, key: K, value: V): void {
  const set = sets.get(key);
  set?.delete(value);
  if (set?.size === 0) sets.delete(key);
}

function forgetOldest(map: Map<string, unknown>): void {
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}
