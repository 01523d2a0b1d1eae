import type { WireFault } from '../wire-fault.ts';

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
