import { createHash } from 'node:crypto';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { JobState, StateOutput } from './job-state.ts';
import { rucioPath } from './rucio-path.ts';

/** A file as our storage has it; its sums are the storage's own. */
export interface Stored {
  readonly name: string;
  readonly size: number;
  readonly adler32?: string;
}

/** Where the outputs of a site are, as PanDA is to know it. */
export interface OutputPlace {
  /** The storage element that the outputs lie in, instead of the one that PanDA chose. */
  readonly endpoint: string | undefined;
  /** A file's address, with `{path}`, `{job}`, `{attempt}` and `{name}` in it. */
  readonly surl: string | undefined;
}

export type Report =
  | { readonly kind: 'report'; readonly text: string }
  | { readonly kind: 'missing'; readonly lfn: string }
  | { readonly kind: 'empty'; readonly lfn: string };

/** Whose result it is in our own words. */
export interface ResultName {
  readonly job: string;
  readonly attempt: number;
}

/**
 * The output report of a finished job (PanDA server, `adder_gen.py`): every file with its GUID, and with the size and the Adler-32 that
 * our storage computed. Throws `INVALID_CONFIGURATION` where the storage computed none.
 */
export function outputReport(
  state: JobState,
  stored: readonly Stored[],
  place: OutputPlace,
  result: ResultName,
): Report {
  const byName = new Map(stored.map((file) => [file.name, file]));
  const entries: [string, object][] = [];
  for (const output of state.outputs) {
    const file = byName.get(output.lfn);
    if (file === undefined) {
      if (output.isOptional) continue;
      return { kind: 'missing', lfn: output.lfn };
    }
    if (file.size === 0) return { kind: 'empty', lfn: output.lfn };
    entries.push([output.lfn, entryOf(state, output, file, place, result)]);
  }
  return { kind: 'report', text: JSON.stringify(Object.fromEntries(entries)) };
}

function entryOf(
  state: JobState,
  output: StateOutput,
  file: Stored,
  place: OutputPlace,
  result: ResultName,
): object {
  if (file.adler32 === undefined)
    throw new CoPilotError(
      'INVALID_CONFIGURATION',
      'the storage gives no Adler-32, which PanDA needs: set bridge.digests to [adler32]',
    );
  const surl = place.surl && surlOf(place.surl, output, result);
  return {
    guid: output.guid ?? guidOf(state.id, state.attempt, output.lfn),
    fsize: file.size,
    adler32: file.adler32,
    ...(surl !== undefined && { surl }),
    endpoint: place.endpoint ?? output.endpoint,
  };
}

/** The same file of the same attempt always has the same GUID, however often it is reported: a UUID of RFC 9562, version 8. */
export function guidOf(pandaId: number, attempt: number, lfn: string): string {
  const bytes = createHash('sha256')
    .update(JSON.stringify(['panda', pandaId, attempt, lfn]))
    .digest();
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex', 0, 16).toUpperCase();
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

function surlOf(template: string, { scope, lfn }: StateOutput, { job, attempt }: ResultName): string {
  const values: Readonly<Record<string, string>> = {
    path: rucioPath(scope, lfn),
    job,
    attempt: String(attempt),
    name: lfn,
  };
  return template.replaceAll(/\{(path|job|attempt|name)\}/gu, (_whole, key: string) => values[key] ?? '');
}
