/** Jobs that wait in one queue, by whose they are; names in the order of their letters. */
export interface WaitingIndex<Job> {
  /** The first owner after that name. */
  ownerAfter(owner: string): string | undefined;
  /** The highest priority among an owner's jobs. */
  topPriority(owner: string): number | undefined;
  /** The owner's first campaign after that name that has jobs of the priority. */
  campaignAfter(owner: string, priority: number, campaign: string): string | undefined;
  /** The oldest job of them. */
  oldest(owner: string, priority: number, campaign: string): Job | undefined;
}

/** How many jobs in a row an owner or a campaign gets when it has its turn: 1 unless it is named. */
export interface TurnWeights {
  readonly owners?: Readonly<Record<string, number>>;
  readonly campaigns?: Readonly<Record<string, number>>;
}

interface Choice<Job> {
  readonly owner: string;
  readonly campaign: string;
  readonly job: Job;
}

/** Who had the last turn, and how many more jobs belong to it. */
interface Cursor {
  readonly name: string;
  readonly left: number;
}

/** Owners whose campaigns' turns are remembered; of one that is forgotten the first campaign is next. */
const MAX_OWNERS = 16_384;

const NOBODY: Cursor = { name: '', left: 0 };

/**
 * Hands out the jobs of one queue in turn: owner after owner, of each the jobs of its highest priority, there campaign after
 * campaign, of each the oldest. So a job is handed out after at most as many turns as there are owners, for each campaign of its
 * owner, for each job before it in its campaign. Nothing is looked at but the index.
 */
export class Turns {
  readonly #weights: TurnWeights;
  readonly #campaigns = new Map<string, Cursor>();
  #owner = NOBODY;

  constructor(weights: TurnWeights = {}) {
    this.#weights = weights;
  }

  /** Whose turn it is; the turn is had with `had`. */
  next<Job>(index: WaitingIndex<Job>): Choice<Job> | undefined {
    const owner = this.#nextOwner(index);
    const priority = owner === undefined ? undefined : index.topPriority(owner);
    if (owner === undefined || priority === undefined) return undefined;
    const campaign = this.#nextCampaign(index, owner, priority);
    const job = campaign === undefined ? undefined : index.oldest(owner, priority, campaign);
    return campaign === undefined || job === undefined ? undefined : { owner, campaign, job };
  }

  had({ owner, campaign }: Choice<unknown>): void {
    const { owners = {}, campaigns = {} } = this.#weights;
    const cursor = after(this.#campaigns.get(owner) ?? NOBODY, campaign, campaigns);
    this.#owner = after(this.#owner, owner, owners);
    this.#campaigns.delete(owner);
    this.#campaigns.set(owner, cursor);
    const [oldest] = this.#campaigns.keys();
    if (oldest !== undefined && this.#campaigns.size > MAX_OWNERS) this.#campaigns.delete(oldest);
  }

  #nextOwner<Job>(index: WaitingIndex<Job>): string | undefined {
    const { name, left } = this.#owner;
    if (left > 0 && index.topPriority(name) !== undefined) return name;
    return index.ownerAfter(name) ?? index.ownerAfter('');
  }

  #nextCampaign<Job>(index: WaitingIndex<Job>, owner: string, priority: number): string | undefined {
    const { name, left } = this.#campaigns.get(owner) ?? NOBODY;
    if (left > 0 && index.oldest(owner, priority, name) !== undefined) return name;
    return index.campaignAfter(owner, priority, name) ?? index.campaignAfter(owner, priority, '');
  }
}

function after(cursor: Cursor, name: string, weights: Readonly<Record<string, number>>): Cursor {
  if (cursor.name === name && cursor.left > 0) return { name, left: cursor.left - 1 };
  const weight = Object.hasOwn(weights, name) ? (weights[name] ?? 1) : 1;
  return { name, left: weight - 1 };
}
