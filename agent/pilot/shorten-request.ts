import { parseJson } from '../../protocol/parse-json.ts';
import { callText, MAX_CALL_BYTES } from './pilot-exchange.ts';
import type { PilotRequest } from './pilot-exchange.ts';
import { decodeFields, encodeFields, fieldOf, itemsOf, unpacksTo } from './request-fields.ts';
import type { Fields } from './request-fields.ts';

/** Text for a `call`; which fields had to be shortened for it. */
export type Shortened =
  | { readonly kind: 'fits'; readonly text: string; readonly cut: readonly string[] }
  | { readonly kind: 'too-large' };

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
  if (whole.length <= MAX_CALL_BYTES && !unpacksTo(request, MAX_WHOLE_BYTES))
    return { kind: 'fits', text: whole, cut: [] };
  const fields = decodeFields(request);
  if (fields === undefined) return { kind: 'too-large' };
  for (const { fields: smaller, cut } of ever(fields)) {
    const shorter = { ...request, body: encodeFields(request, smaller) };
    const text = callText(shorter);
    if (text.length <= MAX_CALL_BYTES && !unpacksTo(shorter, MAX_WHOLE_BYTES))
      return { kind: 'fits', text, cut };
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
  const output = itemsOf(fieldOf(fieldOf(parseJson(report), 'files'), 'output')).map((file) => ({
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

function textOf(fields: Fields, name: string): string {
  const value = fields[name];
  return typeof value === 'string' ? value : '';
}
