/** What goes wrong with an answer. */
export type WireFault =
  /** The connection ends before anything was done. */
  | 'down'
  /** What was asked is done, and the connection ends without an answer. */
  | 'lost'
  /** It is done, and the answer never comes. */
  | 'hang'
  /** It is done twice, as by a proxy that tries again. */
  | 'twice'
  /** It is done, and half of the answer comes. */
  | 'half'
  /** It is not done, and a page of HTML comes with 200. */
  | 'html'
  /** It is not done, and the answer says that it is. */
  | 'lie'
  /** It is done, and the answer is of another job. */
  | 'other'
  /** It is done, and lists come in another order. */
  | 'shuffled'
  /** Not done: the server is overloaded, 503. */
  | 'busy';

export interface FaultPlan {
  readonly fault: WireFault;
  /** Requests whose path begins so; every one where it is left out. */
  readonly path?: string;
  /** How many of them; all until `clear` where it is left out. */
  readonly times?: number;
}

/** Which of the next requests go wrong, and how. */
export interface WireFaults {
  plan(plan: FaultPlan): void;
  clear(): void;
  /** Takes the next fault for a request, if there is one. */
  next(path: string): WireFault | undefined;
}

export function createWireFaults(): WireFaults {
  let plans: { readonly plan: FaultPlan; left: number }[] = [];
  return {
    plan(plan) {
      plans.push({ plan, left: plan.times ?? Infinity });
    },
    clear() {
      plans = [];
    },
    next(path) {
      const found = plans.find(({ plan, left }) => left > 0 && path.startsWith(plan.path ?? ''));
      if (found === undefined) return undefined;
      found.left--;
      return found.plan.fault;
    },
  };
}
