import type { Histogram } from './histogram.ts';
import { solveSymmetric } from './solve.ts';

export interface Measured {
  readonly value: number;
  /** One standard deviation, of the statistics alone. */
  readonly error: number;
}

/** Position and width of a resonance over a continuum, with the detector's smearing unfolded. */
export interface PeakFit {
  readonly mass: Measured;
  readonly width: Measured;
  /** Pearson's chi square of the fitted bins, and how many of them are free. */
  readonly chiSquare: number;
  readonly freedom: number;
  /** Expected events of every bin of the histogram, also outside the fitted range. */
  readonly expected: readonly number[];
}

/** Scale, mass, width, continuum. */
type Parameters = readonly [number, number, number, number];

/** Bins nearer to the edges than this lack events smeared in from beyond. */
const EDGE = 8;

const MAX_ROUNDS = 60;
const SMEARING_STEPS = 24;

/** Points and weights of Gauss and Legendre for the mean over a bin, from -1/2 to 1/2. */
const BIN_POINTS = [
  [-0.3872983346207417, 5 / 18],
  [0, 4 / 9],
  [0.3872983346207417, 5 / 18],
] as const;

/**
 * Fits a relativistic Breit-Wigner with running width and a 1/s continuum, smeared by the resolution of two momenta, to the
 * counts: the maximum of the Poisson likelihood, by Fisher scoring. Undefined where there are too few events to fit.
 */
export function fitPeak(histogram: Histogram): PeakFit | undefined {
  const bins = fittedBins(histogram);
  const counted = bins.reduce((sum, bin) => sum + (histogram.counts[bin] ?? 0), 0);
  if (bins.length < 10 || counted < 200) return undefined;
  let parameters = firstGuess(histogram);
  let likelihood = deviance(histogram, bins, parameters);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const step = scoringStep(histogram, bins, parameters);
    if (step === undefined) return undefined;
    const next = takeStep(histogram, bins, parameters, step, likelihood);
    const gained = likelihood - next.deviance;
    parameters = next.parameters;
    likelihood = next.deviance;
    if (gained < 1e-6) break;
  }
  return described(histogram, bins, parameters);
}

function fittedBins({ lower, upper, counts }: Histogram): readonly number[] {
  const width = (upper - lower) / counts.length;
  return counts.flatMap((_, bin) => {
    const left = lower + bin * width;
    return left >= lower + EDGE && left + width <= upper - EDGE ? [bin] : [];
  });
}

function firstGuess({ lower, upper, counts }: Histogram): Parameters {
  const highest = counts.reduce((sum, count) => Math.max(sum, count), 0);
  const bin = counts.indexOf(highest);
  const width = (upper - lower) / counts.length;
  return [Math.max(1, highest), lower + (bin + 0.5) * width, 3, 0.05];
}

function lineShape(m: number, [, mass, width, continuum]: Parameters): number {
  const s = m * m;
  const running = (s * width) / mass;
  const resonance = (s * width * width) / ((s - mass * mass) ** 2 + running * running);
  return (m / mass) * (resonance + (continuum * mass * mass) / s);
}

/** Events expected in one bin: the smearing is Gaussian in the logarithm of the mass, where two momenta share it. */
function expectedIn(histogram: Histogram, bin: number, parameters: Parameters): number {
  const { lower, upper, counts, resolution } = histogram;
  const binWidth = (upper - lower) / counts.length;
  const sigma = resolution / Math.SQRT2;
  let sum = 0;
  for (const [offset, weight] of BIN_POINTS) {
    const measured = lower + (bin + 0.5 + offset) * binWidth;
    sum += weight * smeared(measured, sigma, parameters);
  }
  return parameters[0] * sum;
}

function smeared(measured: number, sigma: number, parameters: Parameters): number {
  if (sigma === 0) return lineShape(measured, parameters);
  let sum = 0;
  let weights = 0;
  for (let step = -SMEARING_STEPS; step <= SMEARING_STEPS; step++) {
    const deviation = (5 * step) / SMEARING_STEPS;
    const weight = Math.exp(-0.5 * deviation * deviation);
    const ratio = Math.exp(-sigma * deviation);
    // The factor turns a density in the true mass into one in the measured mass.
    sum += weight * ratio * lineShape(measured * ratio, parameters);
    weights += weight;
  }
  return sum / weights;
}

/** Twice the negative logarithm of the likelihood ratio. */
function deviance(histogram: Histogram, bins: readonly number[], parameters: Parameters): number {
  let sum = 0;
  for (const bin of bins) {
    const count = histogram.counts[bin] ?? 0;
    const expected = expectedIn(histogram, bin, parameters);
    if (!(expected > 0)) return Number.POSITIVE_INFINITY;
    sum += 2 * (expected - count + (count > 0 ? count * Math.log(count / expected) : 0));
  }
  return sum;
}

interface Scoring {
  readonly information: readonly (readonly number[])[];
  readonly score: readonly number[];
}

/** Fisher's information and the score: derivatives by central differences. */
function scoring(histogram: Histogram, bins: readonly number[], parameters: Parameters): Scoring {
  const information = parameters.map(() => parameters.map(() => 0));
  const score = parameters.map(() => 0);
  for (const bin of bins) {
    const expected = expectedIn(histogram, bin, parameters);
    const slopes = parameters.map((_, index) => slope(histogram, bin, parameters, index));
    const excess = (histogram.counts[bin] ?? 0) / expected - 1;
    for (const [row, one] of slopes.entries()) {
      score[row] = (score[row] ?? 0) + excess * one;
      const line = information[row];
      if (line === undefined) continue;
      for (const [column, other] of slopes.entries())
        line[column] = (line[column] ?? 0) + (one * other) / expected;
    }
  }
  return { information, score };
}

function slope(histogram: Histogram, bin: number, parameters: Parameters, index: number): number {
  const change = Math.max(1e-9, Math.abs(parameters[index] ?? 0) * 1e-5);
  const above = expectedIn(histogram, bin, shifted(parameters, index, change));
  const below = expectedIn(histogram, bin, shifted(parameters, index, -change));
  return (above - below) / (2 * change);
}

function shifted([scale, mass, width, continuum]: Parameters, index: number, by: number): Parameters {
  return [
    scale + (index === 0 ? by : 0),
    mass + (index === 1 ? by : 0),
    width + (index === 2 ? by : 0),
    continuum + (index === 3 ? by : 0),
  ];
}

function scoringStep(
  histogram: Histogram,
  bins: readonly number[],
  parameters: Parameters,
): readonly number[] | undefined {
  const { information, score } = scoring(histogram, bins, parameters);
  return solveSymmetric(information, score);
}

/** Goes the step, or half of it, or a quarter, until the likelihood does not fall. */
function takeStep(
  histogram: Histogram,
  bins: readonly number[],
  parameters: Parameters,
  step: readonly number[],
  before: number,
): { readonly parameters: Parameters; readonly deviance: number } {
  for (let fraction = 1; fraction > 1e-3; fraction /= 2) {
    const next = step.reduce<Parameters>(
      (moved, by, index) => shifted(moved, index, fraction * by),
      parameters,
    );
    const sensible = next[0] > 0 && next[1] > 0 && next[2] > 0.01 && next[3] >= 0;
    const reached = sensible ? deviance(histogram, bins, next) : Number.POSITIVE_INFINITY;
    if (reached <= before) return { parameters: next, deviance: reached };
  }
  return { parameters, deviance: before };
}

function described(
  histogram: Histogram,
  bins: readonly number[],
  parameters: Parameters,
): PeakFit | undefined {
  const { information } = scoring(histogram, bins, parameters);
  const error = (index: number): number => {
    const unit = parameters.map((_, at) => (at === index ? 1 : 0));
    return Math.sqrt(solveSymmetric(information, unit)?.[index] ?? Number.NaN);
  };
  const mass = { value: parameters[1], error: error(1) };
  const width = { value: parameters[2], error: error(2) };
  if (!Number.isFinite(mass.error) || !Number.isFinite(width.error)) return undefined;
  const expected = histogram.counts.map((_, bin) => expectedIn(histogram, bin, parameters));
  const chiSquare = bins.reduce((sum, bin) => {
    const wanted = expected[bin] ?? 1;
    return sum + ((histogram.counts[bin] ?? 0) - wanted) ** 2 / wanted;
  }, 0);
  return { mass, width, chiSquare, freedom: bins.length - parameters.length, expected };
}
