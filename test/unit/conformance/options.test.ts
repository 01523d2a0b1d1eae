import { describe, expect, it, vi } from 'vitest';
import { runConformance, type SuiteOptions } from '../../../cli/conformance-run.ts';

const RIGHT: SuiteOptions = { level: 'full', atOnce: '8', patience: '1' };

describe('what people ask of a suite', () => {
  it.each([
    ['a level there is not', { level: 'most' }, 'core, full, robust'],
    ['a case there is not', { only: ['AGT-M-005', 'AGT-X-999'] }, 'there is no case AGT-X-999'],
    ['no case at once', { atOnce: '0' }, '--at-once'],
    ['half a case at once', { atOnce: '1.5' }, '--at-once'],
    ['no patience', { patience: '0' }, '--patience'],
    ['patience without end', { patience: 'Infinity' }, '--patience'],
    ['patience in words', { patience: 'much' }, '--patience'],
  ])('%s is refused with 64 before anything is started', async (_what, options, words) => {
    const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const open = vi.fn();
    try {
      expect(await runConformance('agent', { ...RIGHT, ...options }, open)).toBe(64);
      expect(said.mock.calls.join('')).toContain(words);
    } finally {
      said.mockRestore();
    }
    expect(open).not.toHaveBeenCalled();
  });
});
