import { parseJdl } from './parser.ts';
import { jdlError, shown } from './syntax-error.ts';
import type { Jdl, JdlAttribute, JdlValue } from './value.ts';

/**
 * Writes a description that every parser of JDL reads alike: one attribute a line, lists with an item a line, nothing escaped. Throws
 * `JDL_SYNTAX` for a value that would not come back as it is: the language has no way to write a quote.
 */
export function writeJdl(jdl: Jdl): string {
  return `[\n${jdl.map((attribute) => ` ${checked(attribute)};\n`).join('')}]`;
}

function checked(attribute: JdlAttribute): string {
  const { name, value } = attribute;
  if (textsOf(value).some((text) => /["\u0000-\u001f\u007f]/.test(text)))
    throw jdlError(`the value of ${shown(name)} cannot be written`);
  const text = `${name} = ${written(value)}`;
  const [again, ...others] = parseJdl(`${text};`);
  if (others.length > 0 || again?.name !== name || !isSame(again.value, value))
    throw jdlError(`the value of ${shown(name)} cannot be written`);
  return text;
}

/** Texts that stand between quotes; an expression has quotes of its own. */
function textsOf(value: JdlValue): readonly string[] {
  if (value.kind === 'text') return [value.text];
  return value.kind === 'list' ? value.items : [];
}

function written(value: JdlValue): string {
  switch (value.kind) {
    case 'text':
      return `"${value.text}"`;
    case 'list':
      return `{\n${value.items.map((item) => `  "${item}"`).join(',\n')}\n }`;
    case 'integer':
      return String(value.value);
    case 'real':
      return Number.isInteger(value.value) ? value.value.toFixed(1) : String(value.value);
    case 'expression':
      return value.text;
  }
}

function isSame(one: JdlValue, other: JdlValue): boolean {
  switch (one.kind) {
    case 'list':
      return (
        other.kind === 'list' &&
        one.items.length === other.items.length &&
        one.items.every((item, at) => item === other.items[at])
      );
    case 'text':
    case 'expression':
      return other.kind === one.kind && other.text === one.text;
    case 'integer':
    case 'real':
      return other.kind === one.kind && other.value === one.value;
  }
}
