import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Histogram, mergeHistograms, parseHistogram } from '../../../cli/campaign/histogram.ts';

const histogram = (seed: number, counts: readonly number[]): Histogram => {
  const events = counts.reduce((sum, count) => sum + count, 0);
  const forward = Math.floor(events / 2);
  return {
    quantity: 'mass',
    unit: 'GeV',
    lower: 60,
    upper: 120,
    resolution: 0.01,
    seeds: [seed],
    events,
    underflow: 0,
    overflow: 0,
    forward,
    backward: events - forward,
    counts,
  };
};

const written = (changes: object): string =>
  JSON.stringify({ kind: 'histogram', ...histogram(1, [1, 2, 3]), ...changes });

describe('merging histograms', () => {
  it('adds every bin exactly, in any order', () => {
    const counts = fc.array(fc.nat({ max: 2 ** 36 - 1 }), { minLength: 3, maxLength: 3 });
    fc.assert(
      fc.property(fc.array(counts, { minLength: 1, maxLength: 20 }), (all) => {
        const parts = all.map((one, at) => histogram(at, one));
        const merged = mergeHistograms(parts);
        expect(mergeHistograms(parts.toReversed())).toEqual(merged);
        for (const bin of [0, 1, 2]) {
          const exact = all.reduce((sum, one) => sum + BigInt(one[bin]!), 0n);
          expect(BigInt(merged.counts[bin]!)).toBe(exact);
        }
        expect(merged.seeds).toEqual(all.map((_, at) => at));
      }),
    );
  });

  it.each<[string, readonly Histogram[]]>([
    ['nothing', []],
    ['a seed twice', [histogram(1, [1]), histogram(1, [1])]],
    ['other bins', [histogram(1, [1]), histogram(2, [1, 2])]],
    ['other edges', [histogram(1, [1]), { ...histogram(2, [1]), upper: 130 }]],
    ['another quantity', [histogram(1, [1]), { ...histogram(2, [1]), quantity: 'energy' }]],
    ['another resolution', [histogram(1, [1]), { ...histogram(2, [1]), resolution: 0.02 }]],
  ])('refuses %s', (_, parts) => {
    expect(() => mergeHistograms(parts)).toThrow(expect.objectContaining({ code: 'INVALID_HISTOGRAM' }));
  });
});

describe('reading a histogram that an agent made', () => {
  it('takes a right one', () => {
    expect(parseHistogram(written({}))).toEqual(histogram(1, [1, 2, 3]));
  });

  it.each<[string, string]>([
    ['no JSON', '{'],
    ['another kind', written({ kind: 'photo' })],
    ['a list', '[]'],
    ['too much', written({ quantity: 'x'.repeat(2_000_000) })],
    ['negative counts', written({ counts: [-1, 4, 3] })],
    ['fractions of events', written({ counts: [0.5, 2.5, 3] })],
    ['counts no sum holds', written({ counts: [2 ** 53, 0, 0] })],
    ['counts that do not add up', written({ events: 7 })],
    ['a direction that does not add up', written({ forward: 0 })],
    ['too many bins', written({ counts: Array(1_001).fill(0) })],
    ['no bins', written({ counts: [], events: 0, forward: 0, backward: 0 })],
    ['wrong edges', written({ lower: 130 })],
    ['edges out of all proportion', written({ lower: 1e300, upper: 1e301 })],
    ['bins no number can tell apart', written({ lower: 1e8, upper: 1e8 + 1e-6 })],
    ['an edge that is no number', written({ upper: null })],
    ['a huge resolution', written({ resolution: 2 })],
    ['no seed', written({ seeds: [] })],
    ['a terminal sequence', written({ unit: '\u001b[2J' })],
    ['a long label', written({ unit: 'x'.repeat(65) })],
    ['counts as text', written({ counts: '123' })],
  ])('refuses %s', (_, text) => {
    expect(() => parseHistogram(text)).toThrow(expect.objectContaining({ code: 'INVALID_HISTOGRAM' }));
  });

  it('never throws anything else', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(() => parseHistogram(text)).toThrow(expect.objectContaining({ code: 'INVALID_HISTOGRAM' }));
      }),
    );
  });
});
