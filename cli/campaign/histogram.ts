import { CoPilotError } from '../../protocol/errors.ts';

/** Counts of events in bins of equal width, as one job or a whole campaign leaves them. */
export interface Histogram {
  readonly quantity: string;
  readonly unit: string;
  readonly lower: number;
  readonly upper: number;
  /** Relative error of the measured momenta. */
  readonly resolution: number;
  /** Which seeds are in; each once. */
  readonly seeds: readonly number[];
  readonly events: number;
  readonly underflow: number;
  readonly overflow: number;
  readonly forward: number;
  readonly backward: number;
  readonly counts: readonly number[];
}

/** Largest file that is read as a histogram. */
const MAX_HISTOGRAM_BYTES = 1024 * 1024;

const MAX_BINS = 1000;
const MAX_EDGE = 1e9;

/** Narrower bins, as a fraction of the edge, are below what a number can tell apart. */
const MIN_BIN = 1e-6;
const MAX_SEEDS = 100_000;
const MAX_TEXT = 64;

/**
 * Reads a histogram that some agent made; throws `INVALID_HISTOGRAM`. Whatever it holds is checked: sizes, whole counts, and
 * that the counts add up to the events.
 */
export function parseHistogram(text: string): Histogram {
  if (text.length > MAX_HISTOGRAM_BYTES) throw invalid('is too large');
  const fields = fieldsOf(text);
  const histogram: Histogram = {
    quantity: label(fields, 'quantity'),
    unit: label(fields, 'unit'),
    lower: finite(fields, 'lower'),
    upper: finite(fields, 'upper'),
    resolution: finite(fields, 'resolution'),
    seeds: wholeList(fields, 'seeds', MAX_SEEDS),
    events: whole(fields, 'events'),
    underflow: whole(fields, 'underflow'),
    overflow: whole(fields, 'overflow'),
    forward: whole(fields, 'forward'),
    backward: whole(fields, 'backward'),
    counts: wholeList(fields, 'counts', MAX_BINS),
  };
  checkSense(histogram);
  return histogram;
}

/**
 * Adds histograms exactly: counts are whole numbers. Throws `INVALID_HISTOGRAM` where there are none, where they do not
 * measure the same thing, or where a seed is in twice, for those events would count double.
 */
export function mergeHistograms(histograms: readonly Histogram[]): Histogram {
  const [first, ...others] = histograms;
  if (first === undefined) throw invalid('is not there: nothing to merge');
  for (const other of others) checkAlike(first, other);
  const seeds = histograms.flatMap((histogram) => histogram.seeds).sort((one, other) => one - other);
  if (new Set(seeds).size !== seeds.length) throw invalid('has a seed that another one has too');
  const sum = (of: (histogram: Histogram) => number): number =>
    histograms.reduce((total, histogram) => total + of(histogram), 0);
  return {
    ...first,
    seeds,
    events: sum((histogram) => histogram.events),
    underflow: sum((histogram) => histogram.underflow),
    overflow: sum((histogram) => histogram.overflow),
    forward: sum((histogram) => histogram.forward),
    backward: sum((histogram) => histogram.backward),
    counts: first.counts.map((_, bin) => sum((histogram) => histogram.counts[bin] ?? 0)),
  };
}

function checkSense(histogram: Histogram): void {
  const { lower, upper, resolution, seeds, counts, events, underflow, overflow, forward, backward } =
    histogram;
  if (counts.length === 0 || lower < MIN_BIN || upper > MAX_EDGE) throw invalid('has no bins or wrong edges');
  if ((upper - lower) / counts.length < MIN_BIN * upper) throw invalid('has no bins or wrong edges');
  if (resolution < 0 || resolution > 1) throw invalid('has a resolution outside 0 to 1');
  if (seeds.length === 0) throw invalid('names no seed');
  const total = counts.reduce((sum, count) => sum + count, underflow + overflow);
  if (total !== events || forward + backward !== events) throw invalid('does not add up to its events');
}

function checkAlike(one: Histogram, other: Histogram): void {
  const alike =
    one.quantity === other.quantity &&
    one.unit === other.unit &&
    one.lower === other.lower &&
    one.upper === other.upper &&
    one.resolution === other.resolution &&
    one.counts.length === other.counts.length;
  if (!alike) throw invalid('measures something else than the first one');
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(text: string): Fields {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'histogram')
      return { ...value };
  } catch (cause) {
    throw new CoPilotError('INVALID_HISTOGRAM', 'a histogram is no JSON', { cause });
  }
  throw invalid('is of another kind');
}

function label(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== 'string' || value.length > MAX_TEXT || !/^[ -~]*$/.test(value))
    throw invalid(`has a wrong ${name}`);
  return value;
}

function finite(fields: Fields, name: string): number {
  const value = fields[name];
  if (typeof value !== 'number' || !Number.isFinite(value)) throw invalid(`has a wrong ${name}`);
  return value;
}

function whole(fields: Fields, name: string): number {
  const value = fields[name];
  if (!isWhole(value)) throw invalid(`has a wrong ${name}`);
  return value;
}

function wholeList(fields: Fields, name: string, bound: number): readonly number[] {
  const value = fields[name];
  if (!Array.isArray(value) || value.length > bound || !value.every(isWhole))
    throw invalid(`has wrong ${name}`);
  return value;
}

/** Sums of 100,000 of these stay exact. */
const MAX_COUNT = 2 ** 36;

function isWhole(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= MAX_COUNT;
}

function invalid(what: string): CoPilotError {
  return new CoPilotError('INVALID_HISTOGRAM', `a histogram ${what}`);
}
