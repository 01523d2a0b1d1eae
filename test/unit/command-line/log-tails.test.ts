import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Attempt } from '../../../broker/core/state.ts';
import { attemptLogs, newText } from '../../../cli/log-tails.ts';

function attempt(number: number, more: Partial<Attempt>): Attempt {
  return { number, agent: 'a', state: 'void', reason: '', logTail: '', ...more } as Attempt;
}

describe('the tails of a log', () => {
  it('follow one another without a word twice', () => {
    expect(newText('', 'one\n')).toBe('one\n');
    expect(newText('one\n', 'one\ntwo\n')).toBe('two\n');
    expect(newText('one\ntwo\n', 'two\nthree\n')).toBe('three\n');
    expect(newText('one\n', 'one\n')).toBe('');
    expect(newText('one\n', 'nine\n')).toBe('nine\n');
    expect(newText('abab', 'ababab')).toBe('ab');
  });

  it('of any text that grows, put together, are the text', () => {
    const pieces = fc.array(fc.string({ minLength: 1, maxLength: 20 }), { maxLength: 20 });
    fc.assert(
      fc.property(pieces, (written) => {
        let whole = '';
        let seen = '';
        let told = '';
        for (const piece of written) {
          whole += piece;
          told += newText(seen, whole);
          seen = whole;
        }
        expect(told).toBe(whole);
      }),
    );
  });
});

describe('the attempts of a job', () => {
  it('are those of the broker and those that only the queue remembers', () => {
    const failures = [
      { attempt: 1, reason: 'lost', logTail: '' },
      { attempt: 2, reason: 'exited with code 3', logTail: 'short' },
    ];
    const attempts = [
      attempt(2, { logTail: 'the longer tail', reason: '' }),
      attempt(3, { state: 'live', agent: 'b', logTail: 'so far' }),
    ];
    expect(attemptLogs({ failures }, attempts)).toEqual([
      { attempt: 1, agent: '', state: 'void', reason: 'lost', logTail: '' },
      { attempt: 2, agent: 'a', state: 'void', reason: 'exited with code 3', logTail: 'the longer tail' },
      { attempt: 3, agent: 'b', state: 'live', reason: '', logTail: 'so far' },
    ]);
  });
});
