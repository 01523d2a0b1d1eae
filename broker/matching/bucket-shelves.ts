import type { Bucket } from './bucket.ts';
import { Heap, type Placed } from './heap.ts';
import { type Share, Siblings } from './share.ts';
import { newStand, newTurns, Shelf, type Stand } from './shelf.ts';
import type { Waiting } from './waiting.ts';

/** One job in its place. */
export interface PlacedJob extends Placed {
  readonly waiting: Waiting;
  readonly path: Path;
}

/** A campaign's jobs of one bucket and priority, in order. */
interface CampaignStand extends Stand {
  readonly jobs: Heap<PlacedJob>;
}

interface PriorityStand extends Placed {
  readonly key: number;
  readonly shares: Siblings;
  readonly campaigns: Shelf<Share, CampaignStand>;
}

/** When an owner had a job of a bucket last: counted over all jobs taken, and over those taken by machines of that bucket. */
export interface Mark {
  readonly served: number;
  readonly passed: number;
}

/** How long an owner has waited in a bucket. */
export interface OwnerWait extends Placed {
  readonly owner: Share;
  mark: Mark;
}

/** An owner's jobs of one bucket. */
export interface OwnerStand extends Stand {
  readonly wait: OwnerWait;
  readonly priorities: Shelf<number, PriorityStand>;
}

/** The jobs of one bucket that wait: by owner, then by priority, then by campaign. */
export interface BucketShelf {
  readonly bucket: Bucket;
  readonly queue: Share;
  readonly owners: Shelf<Share, OwnerStand>;
  /** Its owners, who has waited longest first. */
  readonly waits: Heap<OwnerWait>;
  /** Jobs, of whatever bucket, that were taken by machines which could run those of this one. */
  passed: number;
}

/** Where a job stands: the groups it belongs to. */
export interface Path {
  readonly shelf: BucketShelf;
  readonly owner: OwnerStand;
  readonly priority: PriorityStand;
  readonly campaign: CampaignStand;
}

export function newBucketShelf(bucket: Bucket, queue: Share): BucketShelf {
  const waits = new Heap<OwnerWait>((a, b) => a.mark.served < b.mark.served);
  return { bucket, queue, owners: newTurns(), waits, passed: 0 };
}

/** Puts a job in; `served` is the mark of an owner who had none here. */
export function putJob(
  shelf: BucketShelf,
  owner: Share,
  served: number,
  campaignWeight: number,
  waiting: Waiting,
): PlacedJob {
  const ownerStand = shelf.owners.getOrAdd(owner, () => newOwnerStand(shelf, owner, served));
  const priority = ownerStand.priorities.getOrAdd(waiting.priority, () => ({
    at: 0,
    key: waiting.priority,
    shares: new Siblings(),
    campaigns: newTurns(),
  }));
  const share = priority.shares.share(waiting.campaign, campaignWeight);
  const campaign = priority.campaigns.getOrAdd(share, () => ({
    ...newStand(share),
    jobs: new Heap<PlacedJob>((a, b) => a.waiting.order < b.waiting.order),
  }));
  const placed: PlacedJob = { at: 0, waiting, path: { shelf, owner: ownerStand, priority, campaign } };
  campaign.jobs.add(placed);
  for (const group of [shelf.queue, owner, share]) group.arrived();
  return placed;
}

function newOwnerStand(shelf: BucketShelf, owner: Share, served: number): OwnerStand {
  const wait: OwnerWait = { at: 0, owner, mark: { served, passed: shelf.passed } };
  shelf.waits.add(wait);
  const priorities = new Shelf<number, PriorityStand>((a, b) => a.key > b.key);
  owner.stands += 1;
  return { ...newStand(owner), wait, priorities };
}

/** Takes the job out, and every group that has none left. */
export function removeJob(placed: PlacedJob): void {
  const { shelf, owner, priority, campaign } = placed.path;
  for (const group of [shelf.queue, owner.key, campaign.key]) group.left();
  campaign.jobs.remove(placed);
  if (campaign.jobs.size > 0) return;
  priority.campaigns.remove(campaign);
  if (priority.campaigns.size > 0) return;
  owner.priorities.remove(priority);
  if (owner.priorities.size > 0) return;
  shelf.owners.remove(owner);
  shelf.waits.remove(owner.wait);
  owner.key.stands -= 1;
}

/** The owner has waited since `mark`. */
export function setMark({ waits }: BucketShelf, wait: OwnerWait, mark: Mark): void {
  wait.mark = mark;
  waits.moved(wait);
}

/**
 * The owner who has waited longest in the bucket, where that is longer than taking turns explains: its turns went to jobs of
 * other buckets, by machines that cannot run these.
 */
export function overdueIn(shelf: BucketShelf): OwnerStand | undefined {
  const longest = shelf.waits.first();
  if (longest === undefined) return undefined;
  const { owner, mark } = longest;
  const turns = shelf.queue.siblings.turnsUntil(shelf.queue) * owner.siblings.turnsUntil(owner);
  return shelf.passed - mark.passed > turns * owner.stands ? shelf.owners.get(owner) : undefined;
}
