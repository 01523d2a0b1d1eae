import { describe, expect, it } from 'vitest';
import { createRecent } from '../../../adapters/jobs/kit/recent.ts';

describe('what is known of ids of late', () => {
  it('is at least as many as were asked for, those set last, and never twice as many and more', () => {
    const recent = createRecent<number>(10);
    for (let at = 0; at < 1000; at++) recent.set(`id-${at}`, at);
    const kept = Array.from({ length: 1000 }, (_, at) => recent.get(`id-${at}`)).filter(
      (value) => value !== undefined,
    );
    expect(kept.length).toBeLessThan(20);
    for (let at = 990; at < 1000; at++) expect(kept).toContain(at);
  });

  it('is what was set last, and nothing once it was removed, however long ago it was set', () => {
    const recent = createRecent<string>(2);
    recent.set('a', 'first');
    recent.set('b', 'b');
    recent.set('a', 'second');
    expect(recent.get('a')).toBe('second');
    recent.remove('a');
    expect(recent.get('a')).toBeUndefined();
    expect(recent.get('b')).toBe('b');
  });
});
