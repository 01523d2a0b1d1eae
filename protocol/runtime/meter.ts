/** What a program measures of itself. `label` is one of few words: never an id, a name or anything else that an agent chose. */
export interface Meter<Name extends string> {
  /** Adds to a counter. */
  add(name: Name, label?: string, by?: number): void;
  /** Says what a gauge stands at, or a counter that is kept elsewhere. */
  set(name: Name, value: number, label?: string): void;
  /** Adds one observation to a histogram. */
  observe(name: Name, value: number, label?: string): void;
}

export type MetricDefinition = {
  readonly help: string;
  /** Name of its one label, where it has one. */
  readonly label?: string;
} & (
  | { readonly kind: 'counter' | 'gauge' }
  | { readonly kind: 'histogram'; readonly buckets: readonly number[] }
);

/** Metrics of one program by their name; the name says the unit. */
export type MetricDefinitions<Name extends string = string> = Readonly<Record<Name, MetricDefinition>>;

/** Where nobody looks. */
export const NO_METER: Meter<string> = {
  add: () => undefined,
  set: () => undefined,
  observe: () => undefined,
};

/** Seconds, from a tenth of a millisecond to half a minute. */
export const LATENCY_BUCKETS: readonly number[] = [
  0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30,
];
