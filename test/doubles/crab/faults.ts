/** What goes wrong with one call. */
export type Fault =
  /** Nobody is there: the connection ends, nothing is done. */
  | { readonly kind: 'down' }
  /** It is done, and no answer comes, ever. */
  | { readonly kind: 'hang' }
  /** It is done twice. */
  | { readonly kind: 'repeated' }
  /** An answer after so long, on the double's clock. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** What was asked is done, and the connection is gone before the answer. */
  | { readonly kind: 'lost' }
  /** Half of the answer. */
  | { readonly kind: 'cut' }
  /** A proxy's page, with status 200. */
  | { readonly kind: 'html' }
  /** Every row of the answer twice. */
  | { readonly kind: 'twice' }
  /** The rows the other way round. */
  | { readonly kind: 'reversed' }
  /** Says that all is well, and did nothing. */
  | { readonly kind: 'pretended' }
  /** More bytes than anybody wants. */
  | { readonly kind: 'huge'; readonly bytes: number }
  /** This status; `done` says whether what was asked was done before. */
  | { readonly kind: 'status'; readonly status: number; readonly done: boolean };

export interface FaultRule {
  /** Calls that it is for; any where it is left out. */
  readonly api?: string;
  readonly method?: string;
  readonly subresource?: string;
  readonly fault: Fault;
  /** How often; once where it is left out. */
  readonly times?: number;
}

export interface Call {
  readonly api: string;
  readonly method: string;
  readonly subresource: string;
}

/** Faults that wait for the calls they are for. */
export interface Faults {
  add(rule: FaultRule): void;
  clear(): void;
  /** Takes the first that fits. */
  take(call: Call): Fault | undefined;
}

export function createFaults(): Faults {
  let rules: { readonly rule: FaultRule; left: number }[] = [];
  const fits = (rule: FaultRule, call: Call): boolean =>
    (rule.api ?? call.api) === call.api &&
    (rule.method ?? call.method) === call.method &&
    (rule.subresource ?? call.subresource) === call.subresource;
  return {
    add(rule) {
      rules.push({ rule, left: rule.times ?? 1 });
    },
    clear() {
      rules = [];
    },
    take(call) {
      const found = rules.find(({ rule }) => fits(rule, call));
      if (found === undefined) return undefined;
      found.left--;
      if (found.left === 0) rules = rules.filter((entry) => entry !== found);
      return found.rule.fault;
    },
  };
}
