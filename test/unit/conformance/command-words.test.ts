import { describe, expect, it } from 'vitest';
import { fillWords, splitWords } from '../../../conformance/command-words.ts';

describe('a command', () => {
  it.each([
    ['python3 agent.py  --directory {directory}', ['python3', 'agent.py', '--directory', '{directory}']],
    [`run "two words" 'and "more"' ""`, ['run', 'two words', 'and "more"', '']],
    ['a; rm -rf $HOME | `b` > c', ['a;', 'rm', '-rf', '$HOME', '|', '`b`', '>', 'c']],
  ])('%s is split into words, and nothing else', (command, words) => {
    expect(splitWords(command)).toEqual(words);
  });

  it.each(['', '   ', 'run "open', "it's"])('%j is refused', (command) => {
    expect(() => splitWords(command)).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST' }));
  });

  it('has its placeholders filled, within a word too, and a value is never split', () => {
    const words = fillWords(['--at={directory}', '{code}', '{}'], { directory: '/a b', code: '$x "y"' });
    expect(words).toEqual(['--at=/a b', '$x "y"', '{}']);
  });

  it('with a placeholder that there is not is refused, and those there are are named', () => {
    expect(() => fillWords(['{job}'], { directory: '', code: '' })).toThrow('{directory}, {code}');
  });
});
