import type { Bucket } from './bucket.ts';
import {
  type BucketShelf,
  type Mark,
  newBucketShelf,
  overdueIn,
  type OwnerStand,
  type PlacedJob,
  putJob,
  removeJob,
  setMark,
} from './bucket-shelves.ts';
import { classMatches, type HostClass } from './host-class.ts';
import { isNextBefore, type Share, Siblings } from './share.ts';
import { nextOf } from './shelf.ts';
import type { Waiting } from './waiting.ts';
import { createWeights, type Weights } from './weights.ts';

/** More than jobs ever arrive in one life of the broker. */
const AHEAD = 2 ** 50;

/** What goes before a job that waits, as things are now. */
export interface Place {
  /** Jobs of its campaign, and of its owner with a higher priority, that go first. */
  readonly ahead: number;
  /** Groups that take turns, its own included. */
  readonly campaigns: number;
  readonly owners: number;
  readonly queues: number;
}

/**
 * The jobs that may be leased now, by bucket: soft state, rebuilt from the ledger at start. Queues take turns, in a queue its
 * owners, of an owner's jobs with the highest priority the campaigns; nobody is passed over for good (docs/matching.md).
 * Choosing costs one look per non-empty bucket and the logarithm of the groups, nothing per job; the ledger decides whether the
 * job chosen is still to be had.
 */
export class Pool {
  readonly #buckets = new Map<string, BucketShelf>();
  readonly #jobs = new Map<string, PlacedJob>();
  readonly #perQueue = new Map<string, number>();
  readonly #queues = new Siblings();
  readonly #weights: Weights;
  /** How long the owner of a job that was taken had waited, in case it is put back. */
  readonly #marks = new WeakMap<Waiting, Mark>();
  #order = 0;
  #served = 0;

  constructor(weights: Weights = createWeights([])) {
    this.#weights = weights;
  }

  get size(): number {
    return this.#jobs.size;
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

  /** Gives back a job that was taken, to the place it had; its groups have their turn back. */
  putBack(waiting: Waiting, bucket: Bucket): void {
    this.#insert(waiting, bucket);
    this.refund(waiting);
  }

  /** A job that was taken was not to be had: its groups have their turn back. */
  refund(waiting: Waiting): void {
    const queue = this.#queues.find(waiting.queue);
    const owner = queue?.parts.find(waiting.owner);
    queue?.refund();
    owner?.refund();
    const shelf = this.#buckets.get(waiting.bucket);
    const stand = owner && shelf?.owners.get(owner);
    if (shelf === undefined || stand === undefined) return;
    stand.priorities.get(waiting.priority)?.shares.find(waiting.campaign)?.refund();
    const mark = this.#marks.get(waiting);
    if (mark !== undefined && mark.served < stand.wait.mark.served) setMark(shelf, stand.wait, mark);
  }

  /** Takes the job of whose turn it is among those a host of this class may run. */
  take(host: HostClass): Waiting | undefined {
    const matching = [...this.#buckets.values()].filter(({ bucket }) => classMatches(host, bucket));
    for (const shelf of matching) shelf.passed += 1;
    const overdue = matching.flatMap((shelf) => overdueIn(shelf) ?? []);
    const stand = longestWaiting(overdue) ?? standByTurn(matching);
    const level = stand?.priorities.first();
    const job = level && nextOf(level.campaigns)?.jobs.first();
    if (job === undefined) return undefined;
    this.#serve(job);
    return job.waiting;
  }

  /** Whether there is a job that a host of this class may run. */
  has(host: HostClass): boolean {
    for (const { bucket } of this.#buckets.values()) if (classMatches(host, bucket)) return true;
    return false;
  }

  /** The job is no longer to be had. */
  remove(job: string): void {
    const placed = this.#jobs.get(job);
    if (placed !== undefined) this.#drop(placed);
  }

  /** Looks at the jobs before it one by one: for people. */
  placeOf(job: string): Place | undefined {
    const placed = this.#jobs.get(job);
    if (placed === undefined) return undefined;
    const { shelf, owner, priority, campaign } = placed.path;
    const before = campaign.jobs.items.filter((other) => other.waiting.order < placed.waiting.order);
    const higher = owner.priorities.items
      .filter((other) => other.key > priority.key)
      .flatMap((other) => other.campaigns.items.map(({ jobs }) => jobs.size));
    return {
      ahead: higher.reduce((sum, size) => sum + size, before.length),
      campaigns: priority.campaigns.size,
      owners: shelf.queue.parts.active,
      queues: this.#queues.active,
    };
  }

  #serve(job: PlacedJob): void {
    const { shelf, owner, campaign } = job.path;
    for (const share of [shelf.queue, owner.key, campaign.key]) share.charge();
    this.#marks.set(job.waiting, owner.wait.mark);
    this.#served += 1;
    setMark(shelf, owner.wait, { served: this.#served, passed: shelf.passed });
    this.#drop(job);
  }

  #drop(placed: PlacedJob): void {
    const { job, queue } = placed.waiting;
    const { shelf } = placed.path;
    removeJob(placed);
    if (shelf.owners.size === 0) this.#buckets.delete(shelf.bucket.key);
    this.#jobs.delete(job);
    this.#perQueue.set(queue, this.sizeOf(queue) - 1);
  }

  #insert(waiting: Waiting, bucket: Bucket): void {
    const { job, queue: queueName, owner: ownerName, campaign } = waiting;
    if (this.#jobs.has(job)) return;
    const weights = this.#weights;
    const queue = this.#queues.share(queueName, weights.queue(queueName));
    const owner = queue.parts.share(ownerName, weights.owner(queueName, ownerName));
    const shelf = this.#buckets.get(bucket.key) ?? newBucketShelf(bucket, queue);
    this.#buckets.set(bucket.key, shelf);
    const weight = weights.campaign(queueName, campaign);
    this.#jobs.set(job, putJob(shelf, owner, this.#served, weight, waiting));
    this.#perQueue.set(queueName, this.sizeOf(queueName) + 1);
  }
}

/** Of the queue and the owner whose turn it is, the jobs of the highest priority; among several buckets, who has waited longest. */
function standByTurn(matching: readonly BucketShelf[]): OwnerStand | undefined {
  const queue = earliest(matching.map((shelf) => shelf.queue));
  const shelves = matching.filter((shelf) => shelf.queue === queue);
  const owner = earliest(shelves.flatMap((shelf) => nextOf(shelf.owners)?.key ?? []));
  if (owner === undefined) return undefined;
  const stands = shelves.flatMap((shelf) => shelf.owners.get(owner) ?? []);
  const highest = Math.max(...stands.map(topPriority));
  return longestWaiting(stands.filter((stand) => topPriority(stand) === highest));
}

function topPriority(stand: OwnerStand): number {
  return stand.priorities.first()?.key ?? -Infinity;
}

function earliest(shares: readonly Share[]): Share | undefined {
  const [first] = shares;
  return first && shares.reduce((a, b) => (isNextBefore(b, a) ? b : a), first);
}

function longestWaiting(stands: readonly OwnerStand[]): OwnerStand | undefined {
  const [first] = stands;
  return first && stands.reduce((a, b) => (b.wait.mark.served < a.wait.mark.served ? b : a), first);
}
