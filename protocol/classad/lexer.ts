import { maxNameLength, maxSourceLength } from './limits.ts';
import { wordOperator } from './names.ts';
import { syntaxError } from './syntax-error.ts';

export type Token =
  | { readonly kind: 'integer'; readonly value: bigint; readonly offset: number }
  | { readonly kind: 'real'; readonly value: number; readonly offset: number }
  | { readonly kind: 'string'; readonly value: string; readonly offset: number }
  | { readonly kind: 'name'; readonly value: string; readonly offset: number }
  | { readonly kind: 'symbol'; readonly value: string; readonly offset: number }
  | { readonly kind: 'end'; readonly offset: number };

/** The magnitude of the smallest 64-bit integer; only a minus sign in front makes it fit. */
export const integerLimit = 2n ** 63n;

/** Longest first, so that the longest one that fits is taken. */
const symbols = [
  '>>>',
  '=?=',
  '=!=',
  '&&',
  '||',
  '==',
  '!=',
  '<=',
  '>=',
  '<<',
  '>>',
  '?:',
  '+',
  '-',
  '*',
  '/',
  '%',
  '<',
  '>',
  '=',
  '!',
  '~',
  '&',
  '|',
  '^',
  '?',
  ':',
  '.',
  ',',
  ';',
  '(',
  ')',
  '[',
  ']',
  '{',
  '}',
];

const plainEscapes: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ["'", "'"],
  ['\\', '\\'],
  ['?', '?'],
  ['n', '\n'],
  ['t', '\t'],
  ['r', '\r'],
  ['b', '\b'],
  ['f', '\f'],
]);

/** Splits a text into tokens, the last of them `end`. Throws `CLASSAD_SYNTAX`, also for a text above `maxSourceLength`. */
export function tokenize(text: string): readonly Token[] {
  if (text.length > maxSourceLength)
    throw syntaxError(text, maxSourceLength, `longer than ${maxSourceLength} characters`);
  const tokens: Token[] = [];
  let offset = skipSpace(text, 0);
  while (offset < text.length) {
    const [token, end] = readToken(text, offset);
    tokens.push(token);
    offset = skipSpace(text, end);
  }
  tokens.push({ kind: 'end', offset });
  return tokens;
}

type Read = readonly [Token, number];

function readToken(text: string, offset: number): Read {
  if (text.startsWith('"', offset)) return readString(text, offset);
  const name = matchAt(/[A-Za-z_][A-Za-z0-9_]*/y, text, offset);
  if (name.length > maxNameLength)
    throw syntaxError(text, offset, `a name is longer than ${maxNameLength} characters`);
  if (name !== '') return readName(name, offset);
  const number = matchAt(/[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y, text, offset);
  if (number !== '') return readNumber(text, number, offset);
  const symbol = symbols.find((candidate) => text.startsWith(candidate, offset));
  if (symbol !== undefined) return [{ kind: 'symbol', value: symbol, offset }, offset + symbol.length];
  throw syntaxError(text, offset, `unexpected character ${printable(text, offset)}`);
}

function readName(name: string, offset: number): Read {
  const operator = wordOperator(name);
  const token: Token =
    operator === undefined
      ? { kind: 'name', value: name, offset }
      : { kind: 'symbol', value: operator, offset };
  return [token, offset + name.length];
}

function readNumber(text: string, digits: string, offset: number): Read {
  const end = offset + digits.length;
  if (matchAt(/[A-Za-z0-9_]/y, text, end) !== '') throw syntaxError(text, end, 'a number runs into a name');
  // Some readers take a leading zero for octal, others for decimal: what has two meanings is refused.
  if (/^0[0-9]/.test(digits)) throw syntaxError(text, offset, 'a number starts with a needless zero');
  if (/^[0-9]+$/.test(digits))
    return [{ kind: 'integer', value: readInteger(text, digits, offset), offset }, end];
  const value = Number(digits);
  if (!Number.isFinite(value)) throw syntaxError(text, offset, 'a real number is too large');
  return [{ kind: 'real', value, offset }, end];
}

function readInteger(text: string, digits: string, offset: number): bigint {
  const value = digits.length > 19 ? integerLimit + 1n : BigInt(digits);
  if (value > integerLimit) throw syntaxError(text, offset, 'an integer needs more than 64 bits');
  return value;
}

function readString(text: string, start: number): Read {
  let value = '';
  let offset = start + 1;
  for (;;) {
    const run = matchAt(/[^"\\\n\r]+/y, text, offset);
    value += run;
    offset += run.length;
    if (text.startsWith('"', offset)) return [{ kind: 'string', value, offset: start }, offset + 1];
    if (!text.startsWith('\\', offset)) throw syntaxError(text, start, 'a string is not closed on its line');
    const [character, end] = readEscape(text, offset);
    value += character;
    offset = end;
  }
}

function readEscape(text: string, offset: number): readonly [string, number] {
  const octal = matchAt(/[0-3]?[0-7]{1,2}/y, text, offset + 1);
  if (octal !== '') return [String.fromCharCode(Number.parseInt(octal, 8)), offset + 1 + octal.length];
  const plain = plainEscapes.get(text.charAt(offset + 1));
  if (plain !== undefined) return [plain, offset + 2];
  throw syntaxError(text, offset, `unknown escape ${printable(text, offset + 1)} in a string`);
}

function skipSpace(text: string, offset: number): number {
  return offset + matchAt(/[ \t\r\n]+/y, text, offset).length;
}

function matchAt(pattern: RegExp, text: string, offset: number): string {
  pattern.lastIndex = offset;
  return pattern.exec(text)?.[0] ?? '';
}

function printable(text: string, offset: number): string {
  const code = text.codePointAt(offset);
  if (code === undefined) return 'end of text';
  return code > 0x20 && code < 0x7f
    ? `'${String.fromCodePoint(code)}'`
    : `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
}
