/** One element of DER (X.690): its tag, what is in it, and both together. */
export interface Element {
  readonly tag: number;
  readonly content: Uint8Array;
  readonly whole: Uint8Array;
}

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  oid: 0x06,
  utcTime: 0x17,
  time: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

const MAX_LENGTH_BYTES = 4;

/** The elements that fill `bytes`, one after the other. Throws where they are no DER. */
export function elementsOf(bytes: Uint8Array): readonly Element[] {
  const elements: Element[] = [];
  for (let at = 0; at < bytes.length; ) {
    const element = elementAt(bytes, at);
    elements.push(element);
    at += element.whole.length;
  }
  return elements;
}

/** The one element that fills `bytes`; of the tag, where that is said. */
export function elementOf(bytes: Uint8Array | undefined, tag?: number): Element {
  const [element, more] = bytes === undefined ? [] : elementsOf(bytes);
  if (element === undefined || more !== undefined) throw new Error('it is not one element');
  if (tag !== undefined && element.tag !== tag) throw new Error('an element is of another kind');
  return element;
}

/** What is in a sequence. */
export function sequenceOf(bytes: Uint8Array | undefined): readonly Element[] {
  return elementsOf(elementOf(bytes, TAG.sequence).content);
}

function elementAt(bytes: Uint8Array, at: number): Element {
  const tag = bytes[at] ?? 0;
  if ((tag & 0x1f) === 0x1f) throw new Error('a tag of several bytes');
  const { length, from } = lengthAt(bytes, at + 1);
  if (from + length > bytes.length) throw new Error('an element is longer than what holds it');
  return { tag, content: bytes.subarray(from, from + length), whole: bytes.subarray(at, from + length) };
}

function lengthAt(bytes: Uint8Array, at: number): { readonly length: number; readonly from: number } {
  const first = bytes[at];
  if (first === undefined) throw new Error('an element without a length');
  if (first < 0x80) return { length: first, from: at + 1 };
  const count = first & 0x7f;
  const digits = bytes.subarray(at + 1, at + 1 + count);
  // DER has one way to write a length: the shortest.
  if (count === 0 || count > MAX_LENGTH_BYTES || digits.length < count || digits[0] === 0)
    throw new Error('a length that is none');
  const length = digits.reduce((sum, digit) => sum * 256 + digit, 0);
  if (length < 0x80) throw new Error('a length that is too long');
  return { length, from: at + 1 + count };
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** A small whole number, such as the length of a path. */
export function smallNumber({ tag, content }: Element): number {
  const [byte] = content;
  if (tag !== TAG.integer || content.length !== 1 || byte === undefined || byte > 0x7f)
    throw new Error('a number that is not small');
  return byte;
}

/** UTCTime or GeneralizedTime as RFC 5280, 4.1.2.5 wants them, in milliseconds since 1970. */
export function timeOf({ tag, content }: Element): number {
  const text = Buffer.from(content).toString('latin1');
  const match = (tag === TAG.utcTime ? /^(\d\d)(\d{10})Z$/ : /^(\d{4})(\d{10})Z$/).exec(text);
  if (match === null || (tag !== TAG.utcTime && tag !== TAG.time)) throw new Error('a time that is none');
  const [, year = '', rest = ''] = match;
  const whole = year.length === 4 ? year : `${Number(year) < 50 ? '20' : '19'}${year}`;
  const [month, day, hour, minute, second] = rest.match(/\d\d/g) ?? [];
  const ms = Date.parse(`${whole}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (Number.isNaN(ms)) throw new Error('a time that is none');
  return ms;
}
