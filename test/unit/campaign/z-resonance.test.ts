import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expand } from '../../../cli/campaign/expand.ts';
import { fitPeak } from '../../../cli/campaign/fit-peak.ts';
import { type Histogram, mergeHistograms, parseHistogram } from '../../../cli/campaign/histogram.ts';
import { loadCampaign } from '../../../cli/campaign/load.ts';
import { fitFacts, svgPlot, terminalPlot, withError } from '../../../cli/campaign/picture.ts';

const example = join(import.meta.dirname, '../../../examples/z-resonance');
const shortCard = readFileSync(join(example, 'card.txt'), 'utf8').replace(/^events.*$/m, 'events = 150000');

interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly file: (name: string) => Buffer;
}

describe('the example campaign', () => {
  let folder: string;
  let runs: readonly Histogram[];

  const run = (name: string, card: string, seed: string): Run => {
    const work = mkdtempSync(join(folder, name));
    writeFileSync(join(work, 'card.txt'), card);
    writeFileSync(join(work, 'seed.txt'), seed);
    const done = spawnSync(process.execPath, [join(example, 'generator.mjs'), 'card.txt', 'seed.txt'], {
      cwd: work,
      encoding: 'utf8',
      timeout: 20_000,
    });
    return { ...done, file: (file) => readFileSync(join(work, file)) };
  };
  const histogramOf = (seed: number): Histogram =>
    parseHistogram(run(`seed-${seed}-`, shortCard, `seed=${seed}\n`).file('histogram.json').toString());

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'co-pilot-example-'));
    runs = [1, 2, 3].map(histogramOf);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('is forty jobs with forty seeds', async () => {
    const jobs = expand(await loadCampaign(join(example, 'campaign.yaml')));
    expect(jobs).toHaveLength(40);
    expect(jobs.map((job) => job.contents[0]?.content)).toEqual(
      Array.from({ length: 40 }, (_, at) => `seed=${at + 1}\n`),
    );
    expect(jobs[0]?.description.outputs.map(({ name }) => name)).toEqual(['histogram.json', 'events.csv.gz']);
  });

  it('gives the same bytes for the same seed, and others for another', () => {
    const [one, again, other] = [
      run('a', shortCard, '7'),
      run('b', shortCard, 'seed=7'),
      run('c', shortCard, '8'),
    ];
    for (const name of ['histogram.json', 'events.csv.gz']) {
      expect(one.file(name).equals(again.file(name))).toBe(true);
      expect(one.file(name).equals(other.file(name))).toBe(false);
    }
  });

  it('says how far it is, and writes the first events one by one', () => {
    const done = run('events', shortCard, '3');
    expect(done.stdout.split('\n').filter((line) => line.startsWith('progress '))).toHaveLength(20);
    expect(done.stdout).toContain('progress 1.00');
    const lines = gunzipSync(done.file('events.csv.gz')).toString().trimEnd().split('\n');
    expect(lines).toHaveLength(5_001);
    expect(lines[1]).toMatch(/^0(?:,-?\d+\.\d{5}){6}$/);
  });

  it.each([
    ['an unknown field', 'colour = 1', /no field colour/],
    ['no number', 'events = many', /events needs a number/],
    ['a field too few', '', /missing/],
  ])('ends with a reason for a card with %s', (_, line, says) => {
    const card = line === '' ? 'events = 10\n' : `${shortCard}${line}\n`;
    const done = run('bad', card, '1');
    expect(done.status).not.toBe(0);
    expect(done.stderr).toMatch(says);
  });

  it('finds the peak and width that went in, within its errors', () => {
    const merged = mergeHistograms(runs);
    const fit = fitPeak(merged)!;
    expect(merged.events).toBe(450_000);
    expect(Math.abs(fit.mass.value - 91.1876) / fit.mass.error).toBeLessThan(4);
    expect(Math.abs(fit.width.value - 2.4952) / fit.width.error).toBeLessThan(4);
    expect(fit.mass.error).toBeLessThan(0.01);
    expect(fit.chiSquare / fit.freedom).toBeLessThan(1.6);
    expect(fit.chiSquare / fit.freedom).toBeGreaterThan(0.5);
  });

  it('measures better with more events, as their root', () => {
    const one = fitPeak(runs[0]!)!;
    const three = fitPeak(mergeHistograms(runs))!;
    expect(one.mass.error / three.mass.error).toBeCloseTo(Math.sqrt(3), 1);
  });

  it('fits nothing where there is nothing', () => {
    const merged = mergeHistograms(runs);
    const empty = { ...merged, counts: merged.counts.map(() => 0) };
    expect(fitPeak(empty)).toBeUndefined();
    const spike = { ...empty, counts: empty.counts.map((_, at) => (at === 60 ? 1_000_000 : 0)) };
    expect(() => terminalPlot(spike, fitPeak(spike), { columns: 80, colour: false })).not.toThrow();
    expect(terminalPlot(empty, undefined, { columns: 80, colour: false }).join('\n')).toContain(
      'too few events',
    );
  });

  it.each([20, 40, 80, 132, 300])('draws within %i columns, its axis under its bars', (columns) => {
    const merged = mergeHistograms(runs);
    const lines = terminalPlot(merged, fitPeak(merged), { columns, colour: false });
    for (const line of lines.slice(0, 18)) expect(line.length).toBeLessThanOrEqual(Math.max(40, columns));
    const widest = Math.max(...lines.slice(1, 17).map((line) => line.length));
    expect(lines[17]?.length).toBeGreaterThanOrEqual(widest);
    expect(lines.join('')).not.toContain('\u001b');
  });

  it('draws the highest bar to the top, above the number of the peak', () => {
    const merged = mergeHistograms(runs);
    const lines = terminalPlot(merged, fitPeak(merged), { columns: 80, colour: false });
    const top = lines[1]?.indexOf('█') ?? -1;
    const ninety = lines[18]?.indexOf('90') ?? -1;
    // Half a GeV a column: the peak at 91.2 is two or three columns to the right of the 90.
    expect(top - ninety).toBeGreaterThanOrEqual(1);
    expect(top - ninety).toBeLessThanOrEqual(4);
    expect(terminalPlot(merged, undefined, { columns: 80, colour: true })[1]).toContain('\u001b[36m');
  });

  it('draws the same file from the same histogram, and escapes what agents wrote', () => {
    const merged = { ...mergeHistograms(runs), quantity: '<script>alert(1)</script>' };
    const fit = fitPeak(merged);
    const svg = svgPlot(merged, fit);
    expect(svgPlot(merged, fitPeak(merged))).toBe(svg);
    expect(svg).not.toContain('<script>');
    expect(svg).toContain('&lt;script&gt;');
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(svg.match(/<circle/g)).toHaveLength(61);
    for (const fact of fitFacts(merged, fit)) expect(svg).toContain(fact);
  });

  it('writes a value to two digits of its error', () => {
    expect(withError({ value: 91.187_61, error: 0.001_34 })).toBe('91.1876 ± 0.0013');
    expect(withError({ value: 2.4952, error: 0.25 })).toBe('2.50 ± 0.25');
    expect(withError({ value: 1234.5, error: 42 })).toBe('1235 ± 42');
    expect(withError({ value: 5, error: 0 })).toBe('5.000');
  });
});
