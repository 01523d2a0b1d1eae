import { gunzipSync, gzipSync } from 'node:zlib';
import { callText, MAX_CALL_BYTES } from './pilot-exchange.ts';
import type { PilotRequest } from './pilot-exchange.ts';

/** Text for a `call`; which fields had to be shortened for it. */
export type Shortened =
  | { readonly kind: 'fits'; readonly text: string; readonly cut: readonly string[] }
  | { readonly kind: 'too-large' };

type Fields = Readonly<Record<string, unknown>>;

/** Largest request as the pilot wrote it, before compression. */
const MAX_PLAIN_BYTES = 8 * 1024 * 1024;
/** Largest that goes on whole, before compression. */
const MAX_WHOLE_BYTES = 512 * 1024;
/** What is left of a log, in characters, until it fits. */
const TAILS = [8_192, 2_048, 512, 0];
const LOGS = ['pilotLog', 'stdout'] as const;
const REPORT = 'metaData';
const MARK = 'coPilot';

/**
 * A request as a `call` carries it. One that is too large loses, in this order: of the payload's job report all but what the server reads
 * (name, events and GUID of each output), then all of it but a note, then the beginnings of the pilot's logs. What was taken is said
 * in its place.
 */
export function shorten(request: PilotRequest): Shortened {
  const whole = callText(request);
  if (whole.length <= MAX_CALL_BYTES && !unpacksTooLarge(request))
    return { kind: 'fits', text: whole, cut: [] };
  const fields = decode(request);
  if (fields === undefined) return { kind: 'too-large' };
  for (const { fields: smaller, cut } of ever(fields)) {
    const shorter = { ...request, body: encode(request, smaller) };
    const text = callText(shorter);
    if (text.length <= MAX_CALL_BYTES && !unpacksTooLarge(shorter)) return { kind: 'fits', text, cut };
  }
  return { kind: 'too-large' };
}

/** Ever shorter versions, each with what it lacks. */
function* ever(fields: Fields): Generator<{ fields: Fields; cut: readonly string[] }> {
  const report = textOf(fields, REPORT);
  let current = fields;
  let cut: readonly string[] = [];
  if (report !== '') {
    cut = [REPORT];
    yield { fields: { ...fields, [REPORT]: essenceOf(report) }, cut };
    current = { ...fields, [REPORT]: note(report) };
    yield { fields: current, cut };
  }
  for (const length of TAILS) {
    const long = LOGS.filter((name) => textOf(fields, name).length > length);
    const tails = long.map((name): [string, unknown] => [name, tailOf(textOf(fields, name), length)]);
    yield { fields: { ...current, ...Object.fromEntries(tails) }, cut: [...cut, ...long] };
  }
}

function tailOf(text: string, length: number): string {
  const kept = length === 0 ? '' : text.slice(-length);
  return `[co-pilot: ${text.length - kept.length} characters before this were cut]${kept}`;
}

function note(report: string): string {
  return JSON.stringify({ [MARK]: `a job report of ${report.length} characters was left out` });
}

/** What the server reads of a job report (PanDA server, adder: files.output[].subFiles[]); a note where that is not there. */
function essenceOf(report: string): string {
  const output = itemsOf(fieldOf(fieldOf(parse(report), 'files'), 'output')).map((file) => ({
    subFiles: itemsOf(fieldOf(file, 'subFiles')).map((part) => ({
      name: fieldOf(part, 'name'),
      nentries: fieldOf(part, 'nentries'),
      file_guid: fieldOf(part, 'file_guid'),
    })),
  }));
  if (output.length === 0) return note(report);
  return JSON.stringify({
    [MARK]: `shortened from ${report.length} characters`,
    files: { output },
  });
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? new Map<string, unknown>(Object.entries(value)).get(name)
    : undefined;
}

function itemsOf(value: unknown): readonly unknown[] {
  const items: readonly unknown[] = Array.isArray(value) ? value : [];
  return items;
}

function textOf(fields: Fields, name: string): string {
  const value = fields[name];
  return typeof value === 'string' ? value : '';
}

/** What does not unpack at all is the adapter's to judge. */
function unpacksTooLarge({ contentType, body }: PilotRequest): boolean {
  if (contentType !== 'application/json') return body.length > MAX_WHOLE_BYTES;
  try {
    return gunzipSync(body, { maxOutputLength: MAX_PLAIN_BYTES }).length > MAX_WHOLE_BYTES;
  } catch (caught) {
    return caught instanceof RangeError;
  }
}

function decode({ contentType, body }: PilotRequest): Fields | undefined {
  if (contentType !== 'application/json') return Object.fromEntries(new URLSearchParams(body.toString()));
  try {
    const value = parse(gunzipSync(body, { maxOutputLength: MAX_PLAIN_BYTES }).toString());
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined; // no gzip, or too much of it
  }
}

function encode({ contentType }: PilotRequest, fields: Fields): Buffer {
  if (contentType === 'application/json') return gzipSync(JSON.stringify(fields));
  const texts = Object.entries(fields).map(([name, value]): [string, string] => [name, String(value)]);
  return Buffer.from(new URLSearchParams(texts).toString());
}

function parse(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    return undefined; // the payload wrote it
  }
}
