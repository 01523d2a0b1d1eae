import { CoPilotError } from '../../protocol/errors.ts';
import { isJob, isReport } from '../../protocol/generated/validators.js';
import type { Ending, Entry, KeptLease } from './store.ts';

/** Largest journal entry as JSON, in bytes: a description, a manifest and a log tail with room to spare. */
export const MAX_ENTRY_BYTES = 128 * 1024;

const NO_SIGNATURE = 'A'.repeat(86);

export function encodeEntry(entry: Entry): string {
  return JSON.stringify(entry);
}

/** Judges a kept entry by the same schemas as the messages it came from; throws `MALFORMED_MESSAGE`. */
export function decodeEntry(text: string): Entry {
  const value = parse(text);
  if (isRecord(value) && isKeptLease(value['lease'])) {
    const lease = value['lease'];
    if (value['phase'] === 'leased') return { phase: 'leased', lease };
    if (value['phase'] === 'ended' && isEnding(value['ending'], lease))
      return { phase: 'ended', lease, ending: value['ending'] };
  }
  throw new CoPilotError('MALFORMED_MESSAGE', 'the journal entry is not as it was written');
}

function isKeptLease(value: unknown): value is KeptLease {
  if (!isRecord(value)) return false;
  return isJob({ kind: 'job', slot: 1, counter: 1, lease: { ...value, capabilities: [] }, verdicts: [] });
}

function isEnding(value: unknown, lease: KeptLease): value is Ending {
  if (!isRecord(value)) return false;
  return isReport({
    kind: 'report',
    slot: 1,
    counter: 1,
    job: lease.job,
    attempt: lease.attempt,
    ...value,
    signature: NO_SIGNATURE,
    seen: [],
  });
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function parse(text: string): unknown {
  if (text.length > MAX_ENTRY_BYTES)
    throw new CoPilotError('MALFORMED_MESSAGE', 'the journal entry is over its bound');
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch (cause) {
    throw new CoPilotError('MALFORMED_MESSAGE', 'the journal entry is not JSON', { cause });
  }
}
