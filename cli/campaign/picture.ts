import type { Measured, PeakFit } from './fit-peak.ts';
import type { Histogram } from './histogram.ts';

export interface PlotOptions {
  /** Of the terminal; at least 40 are used. */
  readonly columns: number;
  readonly rows?: number;
  readonly colour: boolean;
}

const BLOCKS = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const LABEL_COLUMNS = 9;
const DEFAULT_ROWS = 16;
const CYAN = '\u001b[36m';
const BOLD = '\u001b[1m';
const PLAIN = '\u001b[0m';

/** How far to both sides of the peak a picture reaches, in the histogram's unit. */
const VIEW = 15;

/** A histogram for a terminal: bars of eighths of a line, an axis with numbers, and what was fitted. */
export function terminalPlot(
  histogram: Histogram,
  fit: PeakFit | undefined,
  options: PlotOptions,
): readonly string[] {
  const columns = Math.max(40, options.columns);
  const view = viewOf(histogram, fit);
  const bars = barsOf(view.counts, columns - LABEL_COLUMNS - 2);
  const rows = Math.max(4, options.rows ?? DEFAULT_ROWS);
  const highest = Math.max(1, ...bars.heights);
  const paint = (text: string, code: string): string =>
    options.colour && text !== '' ? `${code}${text}${PLAIN}` : text;
  const body = Array.from({ length: rows }, (_, at) => {
    const row = rows - 1 - at;
    const line = bars.heights.map((height) => BLOCKS[eighths(height, highest, rows, row)] ?? ' ').join('');
    return `${countLabel(row, rows, highest)}┤${paint(line.trimEnd(), CYAN)}`;
  });
  const title = `${histogram.quantity}, ${grouped(histogram.events)} events from ${histogram.seeds.length} jobs`;
  return [
    `${' '.repeat(LABEL_COLUMNS + 1)}${paint(title.slice(0, columns - LABEL_COLUMNS - 1), BOLD)}`,
    ...body,
    `${' '.repeat(LABEL_COLUMNS)}└${axis(bars.heights.length, view, bars.columnWidth).line}`,
    `${' '.repeat(LABEL_COLUMNS + 1)}${axis(bars.heights.length, view, bars.columnWidth).labels}  ${histogram.unit}`,
    ...pairs(fitFacts(histogram, fit)).map((line) => `${' '.repeat(LABEL_COLUMNS + 1)}${line}`),
  ];
}

/** What was fitted, fact by fact; also where there was nothing to fit. */
export function fitFacts(histogram: Histogram, fit: PeakFit | undefined): readonly string[] {
  const { unit, forward, backward } = histogram;
  const asymmetry = forward + backward === 0 ? 0 : (forward - backward) / (forward + backward);
  const error = Math.sqrt((1 - asymmetry ** 2) / Math.max(1, forward + backward));
  const fact = `asymmetry ${withError({ value: asymmetry, error })}`;
  if (fit === undefined) return ['too few events to fit a peak', fact];
  return [
    `peak ${withError(fit.mass)} ${unit}`,
    `width ${withError(fit.width)} ${unit}`,
    fact,
    `chi2/ndf ${fit.chiSquare.toFixed(1)}/${fit.freedom}`,
  ];
}

/** A value with its error, both to two digits of the error. */
export function withError({ value, error }: Measured): string {
  if (!(error > 0) || !Number.isFinite(error)) return value.toPrecision(4);
  const digits = Math.min(12, Math.max(0, 1 - Math.floor(Math.log10(error))));
  return `${value.toFixed(digits)} ± ${error.toFixed(digits)}`;
}

function pairs(facts: readonly string[]): readonly string[] {
  return facts.flatMap((fact, at) =>
    at % 2 === 0 ? [[fact, ...facts.slice(at + 1, at + 2)].join(',  ')] : [],
  );
}

interface View {
  readonly lower: number;
  readonly binWidth: number;
  readonly counts: readonly number[];
  readonly expected: readonly number[];
}

/** The bins around the peak; all of them where no peak was found. */
function viewOf(histogram: Histogram, fit: PeakFit | undefined): View {
  const { lower, upper, counts } = histogram;
  const binWidth = (upper - lower) / counts.length;
  if (fit === undefined) return { lower, binWidth, counts, expected: [] };
  const first = Math.max(0, Math.floor((fit.mass.value - VIEW - lower) / binWidth));
  const last = Math.min(counts.length, Math.ceil((fit.mass.value + VIEW - lower) / binWidth));
  return {
    lower: lower + first * binWidth,
    binWidth,
    counts: counts.slice(first, last),
    expected: fit.expected.slice(first, last),
  };
}

interface Bars {
  readonly heights: readonly number[];
  /** Width of one terminal column, in bins: below one where a bin has several columns. */
  readonly columnWidth: number;
}

/** Bins side by side where they fit, several columns each where there is room, else added up in groups. */
function barsOf(counts: readonly number[], columns: number): Bars {
  if (counts.length > columns) {
    const group = Math.ceil(counts.length / columns);
    const heights = Array.from({ length: Math.ceil(counts.length / group) }, (_, at) =>
      counts.slice(at * group, (at + 1) * group).reduce((sum, count) => sum + count, 0),
    );
    return { heights, columnWidth: group };
  }
  const repeat = Math.max(1, Math.floor(columns / Math.max(1, counts.length)));
  return { heights: counts.flatMap((count) => Array<number>(repeat).fill(count)), columnWidth: 1 / repeat };
}

function eighths(height: number, highest: number, rows: number, row: number): number {
  const filled = Math.round((height / highest) * rows * 8);
  return Math.max(0, Math.min(8, filled - row * 8));
}

function countLabel(row: number, rows: number, highest: number): string {
  const label = (rows - 1 - row) % 4 === 0 ? short(((row + 1) / rows) * highest) : '';
  return `${label} `.padStart(LABEL_COLUMNS);
}

interface Axis {
  readonly line: string;
  readonly labels: string;
}

/** Ticks at round numbers, at least eight columns apart. */
function axis(columns: number, { lower, binWidth }: View, columnWidth: number): Axis {
  const unitsPerColumn = binWidth * columnWidth;
  const step = roundStep(unitsPerColumn * 8);
  const line = Array<string>(columns).fill('─');
  let labels = '';
  const first = Math.ceil(lower / step - 1e-9) * step;
  for (let tick = first; tick < lower + columns * unitsPerColumn; tick += step) {
    const column = Math.round((tick - lower) / unitsPerColumn);
    if (column >= columns) break;
    line[column] = '┬';
    const label = tickLabel(tick, step);
    const start = Math.max(0, column - Math.floor(label.length / 2));
    if (start >= labels.length || labels === '') labels = `${labels.padEnd(start)}${label}`;
  }
  return { line: line.join(''), labels };
}

function tickLabel(value: number, step: number): string {
  return value.toFixed(Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)));
}

/** The next of 1, 2, 5, 10, 20, … that is not smaller. */
function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  const factor = [1, 2, 5, 10].find((candidate) => candidate * power >= least - 1e-9) ?? 10;
  return factor * power;
}

function short(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toPrecision(3)}G`;
  if (count >= 1e6) return `${(count / 1e6).toPrecision(3)}M`;
  if (count >= 1e4) return `${(count / 1e3).toPrecision(3)}k`;
  return String(Math.round(count));
}

function grouped(count: number): string {
  return String(count).replace(/\B(?=(?:\d{3})+$)/g, ',');
}

const SVG_WIDTH = 860;
const SVG_HEIGHT = 520;
const MARGIN = { left: 86, right: 24, top: 56, bottom: 60 } as const;

/** The same picture as a file: points with their errors, the fitted curve, axes with numbers. The same input gives the same bytes. */
export function svgPlot(histogram: Histogram, fit: PeakFit | undefined): string {
  const view = viewOf(histogram, fit);
  const highest = 1.08 * Math.max(1, ...view.counts, ...view.expected);
  const plotWidth = SVG_WIDTH - MARGIN.left - MARGIN.right;
  const plotHeight = SVG_HEIGHT - MARGIN.top - MARGIN.bottom;
  const x = (bin: number): number => MARGIN.left + (bin / view.counts.length) * plotWidth;
  const y = (count: number): number => MARGIN.top + plotHeight * (1 - count / highest);
  const title = `${grouped(histogram.events)} events from ${histogram.seeds.length} jobs`;
  const lines = fitFacts(histogram, fit);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SVG_WIDTH} ${SVG_HEIGHT}" font-family="sans-serif" font-size="14">`,
    `<rect width="${SVG_WIDTH}" height="${SVG_HEIGHT}" fill="#ffffff"/>`,
    svgText(MARGIN.left, 24, title, 'font-size="17" font-weight="bold"'),
    ...svgAxes(histogram, view, highest, x, y),
    ...svgFacts(lines),
    ...view.counts.map((count, bin) =>
      svgPoint(x(bin + 0.5), y(count), y(count - Math.sqrt(count)), y(count + Math.sqrt(count))),
    ),
    ...svgCurve(view, x, y),
    '</svg>',
    '',
  ].join('\n');
}

type Scale = (value: number) => number;

function svgAxes(histogram: Histogram, view: View, highest: number, x: Scale, y: Scale): readonly string[] {
  const { lower, binWidth, counts } = view;
  const bottom = y(0);
  const right = x(counts.length);
  const across = ticks(lower, lower + counts.length * binWidth, 8);
  const up = ticks(0, highest, 8);
  return [
    ...up.values.map((tick) => svgLine(x(0), y(tick), right, y(tick), '#e4e4e4')),
    svgLine(x(0), bottom, right, bottom, '#333333'),
    svgLine(x(0), bottom, x(0), MARGIN.top, '#333333'),
    ...across.values.flatMap((tick) => {
      const at = x((tick - lower) / binWidth);
      return [
        svgLine(at, bottom, at, bottom + 6, '#333333'),
        svgText(at, bottom + 22, tickLabel(tick, across.step), CENTRED),
      ];
    }),
    ...up.values.map((tick) => svgText(x(0) - 8, y(tick) + 5, short(tick), 'text-anchor="end"')),
    svgText((x(0) + right) / 2, bottom + 46, `${histogram.quantity} (${histogram.unit})`, CENTRED),
    `<text transform="translate(22 ${number((bottom + MARGIN.top) / 2)}) rotate(-90)" text-anchor="middle">events per ${String(
      Number(binWidth.toPrecision(6)),
    )} ${escaped(histogram.unit)}</text>`,
  ];
}

/** On a white ground, so that no line of the grid runs through it. */
function svgFacts(lines: readonly string[]): readonly string[] {
  const left = MARGIN.left + 8;
  const ground = `<rect x="${left}" y="${MARGIN.top + 4}" width="250" height="${20 * lines.length + 8}" fill="#ffffff"/>`;
  const texts = lines.map((line, at) => svgText(left + 6, MARGIN.top + 22 + 20 * at, line, 'fill="#333333"'));
  return [ground, ...texts];
}

const CENTRED = 'text-anchor="middle"';

function ticks(
  from: number,
  to: number,
  about: number,
): { readonly values: readonly number[]; readonly step: number } {
  const step = roundStep((to - from) / about);
  const values: number[] = [];
  for (let tick = Math.ceil(from / step - 1e-9); tick * step <= to + 1e-9; tick++) values.push(tick * step);
  return { values, step };
}

function svgPoint(x: number, y: number, low: number, high: number): string {
  const bar = `<path d="M${number(x)} ${number(low)}V${number(high)}" stroke="#1f4e8c"/>`;
  return `${bar}<circle cx="${number(x)}" cy="${number(y)}" r="2.6" fill="#1f4e8c"/>`;
}

function svgCurve({ expected }: View, x: Scale, y: Scale): readonly string[] {
  if (expected.length === 0) return [];
  const points = expected.map((count, bin) => `${number(x(bin + 0.5))},${number(y(count))}`).join(' ');
  return [`<polyline points="${points}" fill="none" stroke="#c8372d" stroke-width="1.8"/>`];
}

function svgLine(x1: number, y1: number, x2: number, y2: number, stroke: string): string {
  return `<line x1="${number(x1)}" y1="${number(y1)}" x2="${number(x2)}" y2="${number(y2)}" stroke="${stroke}"/>`;
}

function svgText(x: number, y: number, text: string, attributes: string): string {
  return `<text x="${number(x)}" y="${number(y)}" ${attributes}>${escaped(text)}</text>`;
}

function number(value: number): string {
  return value.toFixed(2);
}

/** Labels come from files that agents made. */
function escaped(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
}
