import { maxJdlAttributes, maxJdlLength } from './limits.ts';
import { jdlError, shown } from './syntax-error.ts';
import type { Jdl, JdlAttribute, JdlValue } from './value.ts';

/**
 * Reads a job's description as JAliEn does, its quirks included: a line whose first visible character is `#` is no line; a value ends
 * with `;` outside quotes, the last one may lack it; a backslash keeps the next quote or semicolon from ending anything and stays in the
 * value; text after the last `=` and its value is passed over. Throws `JDL_SYNTAX` naming the attribute, also for a text above
 * `maxJdlLength` or with more than `maxJdlAttributes`.
 */
export function parseJdl(source: string): Jdl {
  if (source.length > maxJdlLength) throw jdlError(`longer than ${maxJdlLength} characters`);
  const text = withoutBrackets(withoutComments(source));
  if (trimmed(text) === '') throw jdlError('empty');
  const attributes = new Map<string, JdlValue>();
  let from = 0;
  for (let equal = text.indexOf('=', 1); equal > 0; equal = text.indexOf('=', from + 1)) {
    const name = nameIn(text.slice(from, equal));
    const end = valueEnd(text, equal + 1, name);
    // The same name again replaces the value and keeps its place, as a linked map does.
    attributes.set(name, valueOf(trimmed(text.slice(equal + 1, end)), name));
    if (attributes.size > maxJdlAttributes) throw jdlError(`more than ${maxJdlAttributes} attributes`);
    from = end + 1;
  }
  if (attributes.size === 0) throw jdlError('no attribute in it');
  return [...attributes].map(([name, value]): JdlAttribute => ({ name, value }));
}

/**
 * As `parseJdl`, for texts that may have passed through XML: one that cannot be read is read again without its entities, at most twice,
 * as the classic job agent does.
 */
export function parseEscapedJdl(source: string): Jdl {
  let text = source;
  for (let layer = 0; ; layer++) {
    try {
      return parseJdl(text);
    } catch (caught) {
      const plain = withoutEntities(text);
      if (layer === 2 || plain === text) throw caught;
      text = plain;
    }
  }
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function withoutEntities(text: string): string {
  return text.replace(/&(amp|lt|gt|quot|apos|#34|#39);/g, (whole, name: string) => {
    if (name === '#34') return '"';
    return name === '#39' ? "'" : (entities[name] ?? whole);
  });
}

/** What Java's `trim` leaves: nothing at either end that is a space or below. */
function trimmed(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && text.charCodeAt(start) <= 0x20) start++;
  while (end > start && text.charCodeAt(end - 1) <= 0x20) end--;
  return text.slice(start, end);
}

function withoutBrackets(source: string): string {
  const text = trimmed(source);
  return text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
}

function withoutComments(text: string): string {
  if (!text.includes('#')) return text;
  return text
    .split(/\r\n|\r|\n/)
    .filter((line) => line !== '' && !trimmed(line).startsWith('#'))
    .map((line) => `${line}\n`)
    .join('');
}

function nameIn(text: string): string {
  const name = trimmed(text);
  if (name === '') throw jdlError('an attribute without a name');
  if (!/^[\p{L}\p{Nd}_]+$/u.test(name)) throw jdlError(`${shown(name)} cannot be the name of an attribute`);
  return name;
}

/** Where the value ends: at its semicolon, or at the end of the text. */
function valueEnd(text: string, from: number, name: string): number {
  let isEscaped = false;
  let isQuoted = false;
  let at = from;
  for (; at < text.length; at++) {
    const character = text[at];
    if (character === '\\') isEscaped = !isEscaped;
    else {
      if (character === '"' && !isEscaped) isQuoted = !isQuoted;
      if (character === ';' && !isEscaped && !isQuoted) break;
      isEscaped = false;
    }
  }
  if (isQuoted || isEscaped)
    throw jdlError(`unfinished ${isQuoted ? 'quotes' : 'escape'} in the value of ${shown(name)}`);
  return at;
}

function valueOf(text: string, name: string): JdlValue {
  if (text.startsWith('"')) {
    if (!text.endsWith('"') || text.length < 2)
      throw jdlError(`the quotes of ${shown(name)} do not close at its end`);
    return { kind: 'text', text: text.slice(1, -1) };
  }
  if (text.startsWith('{')) {
    if (!text.endsWith('}')) throw jdlError(`the braces of ${shown(name)} do not close`);
    return { kind: 'list', items: itemsIn(text.slice(1, -1)) };
  }
  return numberIn(text) ?? { kind: 'expression', text };
}

/**
 * Every quoted text once, in order. Without any quotes the whole is one item. A quote after `'` does not close, and what does not close
 * is passed over.
 */
function itemsIn(text: string): readonly string[] {
  let open = text.indexOf('"');
  if (open < 0) return [text];
  const items = new Set<string>();
  while (open >= 0) {
    let close = text.indexOf('"', open + 1);
    while (close >= 0 && text[close - 1] === "'") close = text.indexOf('"', close + 1);
    if (close < 0) break;
    items.add(text.slice(open + 1, close));
    open = text.indexOf('"', close + 1);
  }
  return [...items];
}

const largestLong = 2n ** 63n - 1n;

function numberIn(text: string): JdlValue | undefined {
  if (/^[0-9]{1,19}$/.test(text) && BigInt(text) <= largestLong)
    return { kind: 'integer', value: BigInt(text) };
  if (!/^[0-9.+\-Ee]{1,400}$/.test(text)) return undefined;
  // Java reads `1e400` as infinity.
  return /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/.test(text)
    ? { kind: 'real', value: Number(text) }
    : undefined;
}
