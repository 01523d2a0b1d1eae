import { describe, expect, it } from 'vitest';
import { checkLabels } from '../../../agent/labels.ts';
import { lineOf, noIsolationText } from '../../../agent/present.ts';
import { jobId } from './stage.ts';

const ATTEMPT = { job: jobId(0), attempt: 2 };
const COUNTS = { committed: 1, refused: 0, lost: 0, unresolved: 0 };

describe('what people read', () => {
  it('names the job and what became of it', () => {
    expect(lineOf({ kind: 'slot', slot: 1, phase: 'running', progress: 0, ...ATTEMPT })).toBe(
      'slot 1: running job aaaaaaaa attempt 2',
    );
    expect(lineOf({ kind: 'attempt', end: 'refused', reason: 'exit 3', counts: COUNTS, ...ATTEMPT })).toBe(
      'job aaaaaaaa attempt 2 refused: exit 3',
    );
    expect(lineOf({ kind: 'slot', slot: 2, phase: 'waiting', reason: 'no-work' })).toBe(
      'slot 2: waiting (no-work)',
    );
    expect(lineOf({ kind: 'link', state: 'up' })).toBe('connected to the broker');
  });

  it('is not every step', () => {
    expect(lineOf({ kind: 'slot', slot: 1, phase: 'running', progress: 0.5, ...ATTEMPT })).toBeUndefined();
    expect(lineOf({ kind: 'slot', slot: 1, phase: 'asking' })).toBeUndefined();
  });

  it('moves no cursor, whatever the broker writes', () => {
    const line = lineOf({
      kind: 'attempt',
      end: 'refused',
      reason: 'a\u001b[2J\nb',
      counts: COUNTS,
      ...ATTEMPT,
    });
    expect(line).toBe('job aaaaaaaa attempt 2 refused: a [2J b');
  });

  it('says what to install where no isolation works, and what going without gives up', () => {
    const text = noIsolationText(
      [{ method: 'bubblewrap', works: false, reason: 'bwrap is not there' }],
      'co-pilot agent run --isolation none',
    );
    expect(text).toContain('bubblewrap: bwrap is not there');
    expect(text).toContain('\n  sudo apt-get install bubblewrap\n');
    expect(text).toContain('\n  co-pilot agent run --isolation none\n');
    expect(text).toContain('this agent\u2019s key');
  });
});

describe('labels', () => {
  it('are literals beside what the agent finds out', () => {
    expect(() => checkLabels({ Room: 'basement', Rank: 3, Quiet: true }, { Cpus: 2 })).not.toThrow();
  });

  it.each<[string, Record<string, string | number | boolean>]>([
    ['the agent’s own attribute', { Cpus: 64 }],
    ['it in other letters', { isolation: 'bubblewrap' }],
    ['a name that is none', { 'a b': 1 }],
    ['too long a text', { Room: 'x'.repeat(300) }],
    ['a number that is none', { Rank: Number.NaN }],
    ['too many', Object.fromEntries(Array.from({ length: 70 }, (_, n) => [`L${n}`, n]))],
  ])('are refused for %s', (_what, labels) => {
    expect(() => checkLabels(labels, { Cpus: 2, Isolation: 'none' })).toThrow(
      expect.objectContaining({ code: 'INVALID_REQUEST' }),
    );
  });
});
