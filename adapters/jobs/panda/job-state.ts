import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { Json } from './panda-job.ts';

/** What of an output the report to PanDA needs. */
export interface StateOutput {
  readonly lfn: string;
  readonly scope: string;
  readonly endpoint: string;
  readonly isOptional: boolean;
  /** The log's GUID is PanDA's; those of other outputs are ours. */
  readonly guid: string | undefined;
}

/** What the adapter must know of a job and does not remember: it travels in the job, and comes back with every call. */
export interface JobState {
  readonly id: number;
  readonly attempt: number;
  readonly site: string;
  readonly task: number | undefined;
  readonly jobset: number | undefined;
  readonly outputs: readonly StateOutput[];
  readonly takesEvents: boolean;
  /** For a pilot inside the job: PanDA's description, without secrets. Undefined where none runs. */
  readonly members: Readonly<Record<string, Json>> | undefined;
}

/** Characters of an opaque state that the broker keeps. */
const MAX_CHARACTERS = 4096;
const MAX_INFLATED_BYTES = 128 * 1024;

/** Packed where it is too long as it is. Undefined where it does not fit even so. */
export function encodeState(state: JobState): string | undefined {
  const plain = JSON.stringify(state);
  if (plain.length <= MAX_CHARACTERS) return plain;
  const packed = deflateRawSync(plain, { level: 9 }).toString('base64url');
  return packed.length > MAX_CHARACTERS ? undefined : packed;
}

/** Undefined where it is none of ours. */
export function decodeState(text: string): JobState | undefined {
  if (text === '' || text.length > MAX_CHARACTERS) return undefined;
  try {
    const value: unknown = JSON.parse(text.startsWith('{') ? text : inflated(text));
    return isState(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function inflated(text: string): string {
  const bytes = inflateRawSync(Buffer.from(text, 'base64url'), { maxOutputLength: MAX_INFLATED_BYTES });
  return bytes.toString();
}

/** The broker gives back what it was given: this tells ours from another adapter's, or an older one's. */
function isState(value: unknown): value is JobState {
  if (typeof value !== 'object' || value === null) return false;
  const { id, attempt, site, outputs }: { [Key in keyof JobState]?: unknown } = value;
  return (
    Number.isSafeInteger(id) &&
    Number.isSafeInteger(attempt) &&
    typeof site === 'string' &&
    Array.isArray(outputs) &&
    outputs.every((output: unknown) => typeof output === 'object' && output !== null && 'lfn' in output)
  );
}
