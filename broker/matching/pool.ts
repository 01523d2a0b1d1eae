import type { Bucket } from './bucket.ts';
import { classMatches, type HostClass } from './host-class.ts';
import { isBefore, JobHeap, type Waiting } from './job-heap.ts';

/** More than jobs ever arrive in one life of the broker. */
const AHEAD = 2 ** 50;

/**
 * The jobs that may be leased now, by bucket: soft state, rebuilt from the ledger at start. Choosing costs one look per
 * non-empty bucket and nothing per job; the ledger decides whether the job chosen is still to be had.
 */
export class Pool {
  readonly #buckets = new Map<string, { readonly bucket: Bucket; readonly heap: JobHeap }>();
  readonly #bucketOf = new Map<string, string>();
  readonly #perQueue = new Map<string, number>();
  #order = 0;

  get size(): number {
    return this.#bucketOf.size;
  }

  /** Jobs of one queue that wait here. */
  sizeOf(queue: string): number {
    return this.#perQueue.get(queue) ?? 0;
  }

  /**
   * Adds a job behind its equals, or, where it was leased before and lost, ahead of those that never were: it has waited
   * longest. One that is there already stays where it is.
   */
  add(job: Omit<Waiting, 'order' | 'bucket'>, bucket: Bucket, wasLeased = false): void {
    this.#order += 1;
    const order = wasLeased ? this.#order - AHEAD : this.#order;
    this.#insert({ ...job, bucket: bucket.key, order }, bucket);
  }

  /** Gives back a job that was taken, to the place it had. */
  putBack(waiting: Waiting, bucket: Bucket): void {
    this.#insert(waiting, bucket);
  }

  /** Takes the best job a host of this class may run. */
  take(host: HostClass): Waiting | undefined {
    let best: { readonly head: Waiting; readonly heap: JobHeap } | undefined;
    for (const [key, { bucket, heap }] of this.#buckets) {
      const head = this.#head(key, heap);
      if (head === undefined || (best !== undefined && !isBefore(head, best.head))) continue;
      if (classMatches(host, bucket)) best = { head, heap };
    }
    best?.heap.pop();
    if (best !== undefined) this.remove(best.head.job, best.head.queue);
    return best?.head;
  }

  /** Whether there is a job that a host of this class may run. */
  has(host: HostClass): boolean {
    for (const [key, { bucket, heap }] of this.#buckets)
      if (this.#head(key, heap) !== undefined && classMatches(host, bucket)) return true;
    return false;
  }

  /** The job is no longer to be had. Its place in the heap is skipped when it comes to the front. */
  remove(job: string, queue: string): void {
    if (this.#bucketOf.delete(job)) this.#perQueue.set(queue, this.sizeOf(queue) - 1);
  }

  /** Drops what was removed from the front, and buckets that are empty. */
  #head(key: string, heap: JobHeap): Waiting | undefined {
    for (;;) {
      const head = heap.peek();
      if (head === undefined) {
        this.#buckets.delete(key);
        return undefined;
      }
      if (this.#bucketOf.get(head.job) === key) return head;
      heap.pop();
    }
  }

  #insert(waiting: Waiting, bucket: Bucket): void {
    if (this.#bucketOf.has(waiting.job)) return;
    const entry = this.#buckets.get(bucket.key) ?? { bucket, heap: new JobHeap() };
    this.#buckets.set(bucket.key, entry);
    entry.heap.push(waiting);
    this.#bucketOf.set(waiting.job, bucket.key);
    this.#perQueue.set(waiting.queue, this.sizeOf(waiting.queue) + 1);
  }
}
