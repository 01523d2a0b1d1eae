/** A text as the words a POSIX shell would make of it, or what in it only a shell can do, with its place from 0. */
export type ShellWords =
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'refused'; readonly what: string; readonly at: number };

/** Outside quotes these are for a shell: lists, pipes, redirections, groups, substitutions, comments, lines. */
const FOR_A_SHELL = new Set([';', '&', '|', '<', '>', '(', ')', '$', '`', '\n', '\r']);
/** Inside double quotes these still are. */
const FOR_A_SHELL_QUOTED = new Set(['$', '`']);
/** What a backslash takes its meaning from inside double quotes. */
const ESCAPED_QUOTED = new Set(['"', '\\', '$', '`']);

interface Reading {
  readonly text: string;
  at: number;
  word: string | undefined;
  readonly words: string[];
}

/**
 * Quotes and backslashes as POSIX has them (2.2 Quoting), no expansion of any kind: `*`, `?`, `[`, `~`, `{` and `!` stay what they are.
 * No shell ever reads the text.
 */
export function shellWords(text: string): ShellWords {
  const reading: Reading = { text, at: 0, word: undefined, words: [] };
  while (reading.at < text.length) {
    const refused = step(reading);
    if (refused !== undefined) return { kind: 'refused', ...refused };
  }
  if (reading.word !== undefined) reading.words.push(reading.word);
  return { kind: 'words', words: reading.words };
}

type Refused = { readonly what: string; readonly at: number };

function step(reading: Reading): Refused | undefined {
  const { text, at } = reading;
  const character = text.charAt(at);
  if (character === '\0') return { what: 'a zero byte', at };
  if (character === ' ' || character === '\t') {
    if (reading.word !== undefined) reading.words.push(reading.word);
    reading.word = undefined;
    reading.at += 1;
    return undefined;
  }
  if (FOR_A_SHELL.has(character)) return { what: named(character), at };
  if (character === '#' && reading.word === undefined) return { what: named(character), at };
  if (character === "'") return singleQuoted(reading);
  if (character === '"') return doubleQuoted(reading);
  if (character === '\\') return escaped(reading);
  add(reading, character, 1);
  return undefined;
}

function singleQuoted(reading: Reading): Refused | undefined {
  const end = reading.text.indexOf("'", reading.at + 1);
  if (end === -1) return { what: "a ' without an end", at: reading.at };
  const inside = reading.text.slice(reading.at + 1, end);
  if (inside.includes('\0')) return { what: 'a zero byte', at: reading.at };
  add(reading, inside, end + 1 - reading.at);
  return undefined;
}

function doubleQuoted(reading: Reading): Refused | undefined {
  const from = reading.at;
  add(reading, '', 1);
  for (;;) {
    const character = reading.text.charAt(reading.at);
    if (character === '') return { what: 'a " without an end', at: from };
    if (character === '\0') return { what: 'a zero byte', at: reading.at };
    if (FOR_A_SHELL_QUOTED.has(character)) return { what: named(character), at: reading.at };
    if (character === '"') {
      add(reading, '', 1);
      return undefined;
    }
    const next = reading.text.charAt(reading.at + 1);
    if (character === '\\' && ESCAPED_QUOTED.has(next)) add(reading, next, 2);
    else if (character === '\\' && next === '\n') add(reading, '', 2);
    else add(reading, character, 1);
  }
}

function escaped(reading: Reading): Refused | undefined {
  const next = reading.text.charAt(reading.at + 1);
  if (next === '') return { what: 'a \\ at the end', at: reading.at };
  if (next === '\0') return { what: 'a zero byte', at: reading.at + 1 };
  // A backslash before the end of a line joins the lines.
  if (next === '\n') reading.at += 2;
  else add(reading, next, 2);
  return undefined;
}

function add(reading: Reading, part: string, read: number): void {
  reading.word = (reading.word ?? '') + part;
  reading.at += read;
}

function named(character: string): string {
  return character === '\n' || character === '\r' ? 'a line break' : character;
}
