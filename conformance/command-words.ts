import { CoPilotError } from '../protocol/errors.ts';

const WORD = /"([^"]*)"|'([^']*)'|(\S+)/g;
const PLACEHOLDER = /\{([A-Za-z]+)\}/g;

/**
 * A command as its words: separated by white space, and a word in single or double quotes is taken as it is, without them.
 * There is no shell: nothing else has a meaning. Throws `INVALID_REQUEST` where there is no word or a quote is left open.
 */
export function splitWords(command: string): readonly string[] {
  const words = [...command.matchAll(WORD)].map(
    ([, double, single, plain]) => double ?? single ?? plain ?? '',
  );
  const leftOver = command.replaceAll(/"[^"]*"|'[^']*'/g, '');
  if (words.length === 0) throw new CoPilotError('INVALID_REQUEST', 'the command has no words');
  if (/["']/.test(leftOver)) throw new CoPilotError('INVALID_REQUEST', `a quote is left open in: ${command}`);
  return words;
}

/** Each `{name}` in a word is replaced by its value. Throws `INVALID_REQUEST` for a name that is not there. */
export function fillWords(
  words: readonly string[],
  values: Readonly<Record<string, string>>,
): readonly string[] {
  return words.map((word) =>
    word.replaceAll(PLACEHOLDER, (_, name: string) => {
      const value = values[name];
      if (value !== undefined) return value;
      throw new CoPilotError(
        'INVALID_REQUEST',
        `there is no {${name}}; there are ${Object.keys(values)
          .map((known) => `{${known}}`)
          .join(', ')}`,
      );
    }),
  );
}
