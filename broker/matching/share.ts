/** Idle groups remembered on one level, so that leaving and coming back gains nothing; the oldest is forgotten at the bound. */
const MAX_IDLE = 256;

/** Weights are whole numbers between 1 and this. */
export const MAX_WEIGHT = 1000;

/** Whether a number can be a weight. */
export function isWeight(weight: number): boolean {
  return Number.isInteger(weight) && weight >= 1 && weight <= MAX_WEIGHT;
}

/**
 * One group among its siblings, on a clock that only their own turns move: it may have the next turn at `pass`, and a turn
 * moves that by the inverse of its weight. Who has the earliest pass is next; among equals, who has waited longest.
 */
export class Share {
  readonly name: string;
  readonly weight: number;
  readonly siblings: Siblings;
  /** Groups inside this one. */
  readonly parts = new Siblings();
  pass: number;
  /** Number of its last turn. */
  turn: number;
  /** Jobs of it that wait. */
  waiting = 0;
  /** Buckets it has jobs in. */
  stands = 0;
  #credit = 0;

  constructor(name: string, weight: number, siblings: Siblings, turn: number) {
    this.name = name;
    this.weight = weight;
    this.siblings = siblings;
    this.pass = siblings.now;
    this.turn = turn;
  }

  /** It has a turn. A group that could not use its turns for a while does not save them up: it starts from now. */
  charge(): void {
    const start = Math.max(this.pass, this.siblings.now);
    const price = 1 / this.weight - this.#credit;
    this.#credit = 0;
    if (price > 0) this.turn = this.siblings.nextTurn();
    this.siblings.now = start;
    this.pass = start + price;
  }

  /** A turn it was charged for and did not have: the next one is free. Free turns are not saved up either. */
  refund(): void {
    this.#credit = 1 / this.weight;
  }

  /** One more of its jobs waits. */
  arrived(): void {
    this.waiting += 1;
    if (this.waiting === 1) this.siblings.wakes(this);
  }

  /** One less of its jobs waits. */
  left(): void {
    this.waiting -= 1;
    if (this.waiting === 0) this.siblings.idles(this);
  }
}

/** Groups that take turns with each other. */
export class Siblings {
  /** Where their clock is: the pass of the latest turn. It never goes back. */
  now = 0;
  readonly #shares = new Map<string, Share>();
  readonly #idle = new Set<Share>();
  #activeWeight = 0;
  #turns = 0;

  /** Groups of which jobs wait. */
  get active(): number {
    return this.#shares.size - this.#idle.size;
  }

  /**
   * Turns until a group that waits has had one, at most: between two of its own, each sibling has as many as its weight is
   * times the group's, and one more.
   */
  turnsUntil({ weight }: Share): number {
    return this.active + Math.ceil((this.#activeWeight - weight) / weight);
  }

  nextTurn(): number {
    this.#turns += 1;
    return this.#turns;
  }

  find(name: string): Share | undefined {
    return this.#shares.get(name);
  }

  /** The group of that name, made where there is none. */
  share(name: string, weight: number): Share {
    const known = this.#shares.get(name);
    if (known !== undefined) return known;
    const made = new Share(name, weight, this, this.nextTurn());
    this.#shares.set(name, made);
    this.#idle.add(made);
    return made;
  }

  wakes(share: Share): void {
    this.#idle.delete(share);
    this.#activeWeight += share.weight;
  }

  idles(share: Share): void {
    this.#activeWeight -= share.weight;
    this.#idle.add(share);
    const [oldest] = this.#idle;
    if (oldest === undefined || this.#idle.size <= MAX_IDLE) return;
    this.#idle.delete(oldest);
    this.#shares.delete(oldest.name);
  }
}

/** Whether `a` has its turn before `b`, its sibling. */
export function isNextBefore(a: Pick<Share, 'pass' | 'turn'>, b: Pick<Share, 'pass' | 'turn'>): boolean {
  return a.pass === b.pass ? a.turn < b.turn : a.pass < b.pass;
}
