import { fromHex, hex } from '../protocol/encoding.ts';
import { CoPilotError } from '../protocol/errors.ts';
import { parseJson } from '../protocol/parse-json.ts';
import type { PublicKey, Runtime } from '../protocol/runtime/runtime.ts';
import { watchFile } from '../protocol/runtime/watched-file.ts';

/** Whom an adapter believes, as its file says it: public keys in hex. */
export interface TrustedKeys {
  /** Session keys of the brokers it serves. */
  readonly brokers: readonly string[];
  /** Keys that sign grants, each until a moment of wall time; null is without an end. */
  readonly grantKeys: readonly { readonly key: string; readonly untilMs: number | null }[];
}

/** Whom an adapter believes now; whoever keeps an answer for longer than a moment misses a change. */
export interface Trust {
  isBroker(key: Uint8Array): boolean;
  grantKeys(): readonly PublicKey[];
  stop(): void;
}

/** The file's name in an adapter's directory. */
export const TRUST_FILE = 'trust.json';

const MAX_KEYS = 64;
const KEY = /^[0-9a-f]{64}$/;

/** Rejects with `INVALID_CONFIGURATION` where the file is there and cannot be used. `first` counts while there is none. */
export async function openTrust(runtime: Runtime, path: string, first: TrustedKeys): Promise<Trust> {
  const { crypto, clock, log } = runtime;
  const load = ({ brokers, grantKeys }: TrustedKeys) => ({
    brokers: new Set(brokers),
    grants: grantKeys.map(({ key, untilMs }) => ({
      key: crypto.importPublic('ed25519', fromHex(key)),
      untilMs,
    })),
  });
  const file = await watchFile({
    path,
    parse: (text) => load(parseTrust(text)),
    missing: load(first),
    clock,
    log,
    onChange: ({ brokers, grants }) =>
      log.info({ brokers: brokers.size, grantKeys: grants.length }, 'other keys are believed now'),
  });
  return {
    isBroker: (key) => file.value.brokers.has(hex(key)),
    grantKeys() {
      const nowMs = clock.wallMs();
      return file.value.grants
        .filter(({ untilMs }) => untilMs === null || nowMs < untilMs)
        .map(({ key }) => key);
    },
    stop: () => file.stop(),
  };
}

/** Throws `INVALID_CONFIGURATION` where the text says no such thing. */
export function parseTrust(text: string): TrustedKeys {
  const value = parseJson(text);
  if (isTrusted(value)) return value;
  throw new CoPilotError(
    'INVALID_CONFIGURATION',
    'the keys that are believed cannot be read; copy them again',
  );
}

function isTrusted(value: unknown): value is TrustedKeys {
  if (typeof value !== 'object' || value === null) return false;
  const { brokers, grantKeys }: { [Key in keyof TrustedKeys]?: unknown } = value;
  return isList(brokers, isKey) && isList(grantKeys, isGrantKey);
}

function isList(value: unknown, is: (entry: unknown) => boolean): boolean {
  return Array.isArray(value) && value.length <= MAX_KEYS && value.every(is);
}

function isKey(value: unknown): value is string {
  return typeof value === 'string' && KEY.test(value);
}

function isGrantKey(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('key' in value) || !('untilMs' in value)) return false;
  return isKey(value.key) && (value.untilMs === null || typeof value.untilMs === 'number');
}
