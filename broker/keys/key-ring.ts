import { CoPilotError } from '../../protocol/errors.ts';
import { parseJson } from '../../protocol/parse-json.ts';
import type { StoredKey } from '../../protocol/runtime/key-file.ts';

/** Keys that sign for an installation, each for its purpose. Brokers that share the work share them. */
export type KeyPurpose = 'identity' | 'certifier' | 'grant';

export const KEY_PURPOSES: readonly KeyPurpose[] = ['identity', 'certifier', 'grant'];

/** One key of one purpose: it signs from one moment until another, and what it signed counts for a while after. */
export interface RingEntry {
  readonly key: StoredKey;
  readonly signsFromMs: number;
  /** Null where nothing is to follow it yet. */
  readonly stopsMs: number | null;
}

/** Every purpose's keys, the oldest first; the last one signs, or will. All times are wall time. */
export interface KeyRing extends Readonly<Record<KeyPurpose, readonly RingEntry[]>> {
  /**
   * Public identity keys that an emergency took away, in hex. What they signed counts for nothing but to ask for a renewal, which
   * then gives what the ledger knows of the agent and nothing that the identity says.
   */
  readonly dropped: readonly string[];
}

/** The file's name in a broker's directory. */
export const RING_FILE = 'keys.json';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** How long what a key signed may be shown: identities a day, certificates a day, grants 15 minutes; and what clocks may differ. */
const LIFE_MS: Readonly<Record<KeyPurpose, number>> = {
  identity: DAY_MS + HOUR_MS,
  certifier: DAY_MS + HOUR_MS,
  grant: HOUR_MS / 2,
};
/** How long after its end an identity may still be renewed. */
const RENEWABLE_MS = 7 * DAY_MS;
/** A certifier is announced for as long as an agent may be away and still renew: each hears of it from the one it believes. */
export const ANNOUNCED_MS = LIFE_MS.identity + RENEWABLE_MS;

const MAX_KEYS = 8;
const MAX_DROPPED = 32;

export function firstRing(keys: Readonly<Record<KeyPurpose, StoredKey>>): KeyRing {
  const only = (purpose: KeyPurpose): readonly RingEntry[] => [
    { key: keys[purpose], signsFromMs: 0, stopsMs: null },
  ];
  return { identity: only('identity'), certifier: only('certifier'), grant: only('grant'), dropped: [] };
}

/** The key that signs now. */
export function signing(entries: readonly RingEntry[], nowMs: number): RingEntry {
  const found = entries.findLast(({ signsFromMs }) => signsFromMs <= nowMs) ?? entries[0];
  if (found === undefined) throw new CoPilotError('INTERNAL', 'a key ring has no key that signs');
  return found;
}

/** A key whose word counts, and until when; null is without an end. */
export interface AcceptedEntry extends RingEntry {
  readonly countsUntilMs: number | null;
}

/** Keys whose word counts now: those that sign or did until lately, and those that will, since clocks differ. */
export function accepted(ring: KeyRing, purpose: KeyPurpose, nowMs: number): readonly AcceptedEntry[] {
  return ring[purpose]
    .map((entry) => ({ ...entry, countsUntilMs: countsUntilMs(purpose, entry) }))
    .filter(({ countsUntilMs: untilMs }) => untilMs === null || nowMs < untilMs);
}

function countsUntilMs(purpose: KeyPurpose, { stopsMs }: RingEntry): number | null {
  return stopsMs === null ? null : stopsMs + LIFE_MS[purpose];
}

/** What a key of the ring is good for now. */
export function stateOf(
  ring: KeyRing,
  purpose: KeyPurpose,
  entry: RingEntry,
  nowMs: number,
): { readonly state: 'signs' | 'counts' | 'follows' | 'over'; readonly countsUntilMs: number | null } {
  const untilMs = countsUntilMs(purpose, entry);
  if (signing(ring[purpose], nowMs) === entry) return { state: 'signs', countsUntilMs: untilMs };
  if (entry.signsFromMs > nowMs) return { state: 'follows', countsUntilMs: untilMs };
  return { state: untilMs === null || nowMs < untilMs ? 'counts' : 'over', countsUntilMs: untilMs };
}

/** Keys whose identities may be renewed now. */
export function renewable(ring: KeyRing, nowMs: number): readonly RingEntry[] {
  return ring.identity.filter(
    ({ stopsMs }) => stopsMs === null || nowMs < stopsMs + LIFE_MS.identity + RENEWABLE_MS,
  );
}

/** The certifier that will follow the one that signs. */
export function nextCertifier(ring: KeyRing, nowMs: number): RingEntry | undefined {
  return ring.certifier.find(({ signsFromMs }) => signsFromMs > nowMs);
}

export interface Roll {
  readonly purpose: KeyPurpose;
  readonly key: StoredKey;
  readonly nowMs: number;
  /** When the new key begins to sign: until then all who check have to know it. */
  readonly signsFromMs: number;
}

/** A new key follows the one that signs; that one's word counts until what it signed has ended. Throws `CONFLICT` where one is to follow already. */
export function roll(ring: KeyRing, { purpose, key, nowMs, signsFromMs }: Roll): KeyRing {
  const entries = ring[purpose];
  if (entries.some((entry) => entry.signsFromMs > nowMs))
    throw new CoPilotError(
      'CONFLICT',
      `a new ${purpose} key is to follow already; an emergency does not wait`,
    );
  const stopped = entries.map((entry) => ({ ...entry, stopsMs: entry.stopsMs ?? signsFromMs }));
  const kept = stopped.filter((entry) => isOfUse(ring, purpose, entry, nowMs)).slice(1 - MAX_KEYS);
  return { ...ring, [purpose]: [...kept, { key, signsFromMs, stopsMs: null }] };
}

/** From now on no other key of the purpose counts. `publicKeys` are those of the keys that go, in hex. */
export function rollAtOnce(
  ring: KeyRing,
  { purpose, key, nowMs }: Omit<Roll, 'signsFromMs'>,
  publicKeys: readonly string[],
): KeyRing {
  const dropped =
    purpose === 'identity' ? [...ring.dropped, ...publicKeys].slice(-MAX_DROPPED) : ring.dropped;
  return { ...ring, dropped, [purpose]: [{ key, signsFromMs: nowMs, stopsMs: null }] };
}

function isOfUse(ring: KeyRing, purpose: KeyPurpose, entry: RingEntry, nowMs: number): boolean {
  const alone: KeyRing = { ...ring, [purpose]: [entry] };
  return (
    accepted(alone, purpose, nowMs).length + (purpose === 'identity' ? renewable(alone, nowMs).length : 0) > 0
  );
}

/** Throws `INVALID_CONFIGURATION` where the text is no ring. */
export function parseRing(text: string): KeyRing {
  const value = parseJson(text);
  if (!isRing(value))
    throw new CoPilotError('INVALID_CONFIGURATION', 'the key ring cannot be read; restore it');
  return value;
}

function isRing(value: unknown): value is KeyRing {
  if (typeof value !== 'object' || value === null) return false;
  const fields = new Map<string, unknown>(Object.entries(value));
  const dropped = fields.get('dropped');
  return (
    Array.isArray(dropped) &&
    dropped.every((key) => typeof key === 'string') &&
    KEY_PURPOSES.every((purpose) => isEntries(fields.get(purpose), purpose))
  );
}

function isEntries(value: unknown, purpose: KeyPurpose): value is readonly RingEntry[] {
  const kind = purpose === 'identity' ? 'p256' : 'ed25519';
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.length <= MAX_KEYS &&
    value.every((entry: unknown) => isEntry(entry, kind))
  );
}

function isEntry(value: unknown, kind: StoredKey['kind']): value is RingEntry {
  if (typeof value !== 'object' || value === null) return false;
  const { key, signsFromMs, stopsMs }: { [Key in keyof RingEntry]?: unknown } = value;
  return (
    typeof signsFromMs === 'number' &&
    (stopsMs === null || typeof stopsMs === 'number') &&
    typeof key === 'object' &&
    key !== null &&
    'kind' in key &&
    key.kind === kind &&
    'private' in key &&
    typeof key.private === 'string'
  );
}
