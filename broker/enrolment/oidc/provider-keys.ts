import { createLocalJWKSet, errors, type JWTVerifyGetKey, type LocalJWKSet } from 'jose';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { Runtime } from '../../../protocol/runtime/runtime.ts';
import type { GetJson } from './get-json.ts';

/** Keys are asked for again after this time. */
export const FRESH_MS = 15 * 60_000;
/** They serve for this long where the provider does not answer. */
export const KEPT_MS = 24 * 3600_000;
/** Between two questions to the provider, whatever tokens come. */
export const PAUSE_MS = 10_000;
const MAX_KEYS = 64;
const MAX_URL_LENGTH = 2_048;

/**
 * The keys of one provider, by discovery, kept and renewed. Rejects with `ENROLMENT_UNAVAILABLE` where the provider would have to be
 * asked and is not there, or was asked a moment ago; with jose's errors where it has no such key.
 */
export function createProviderKeys(
  issuer: string,
  getJson: GetJson,
  { clock, log }: Pick<Runtime, 'clock' | 'log'>,
): JWTVerifyGetKey {
  let kept: { readonly find: LocalJWKSet; readonly atMs: number } | undefined;
  let askedMs = -Infinity;
  let asking: Promise<boolean> | undefined;

  /** Whether the keys are those of now. One question at a time, whoever waits for it. */
  function renew(): Promise<boolean> {
    const nowMs = clock.monotonicMs();
    if (asking === undefined && nowMs - askedMs < PAUSE_MS) return Promise.resolve(false);
    if (asking === undefined) askedMs = nowMs;
    asking ??= askAnew().finally(() => (asking = undefined));
    return asking;
  }

  async function askAnew(): Promise<boolean> {
    try {
      const find = createLocalJWKSet(
        keySetOf(await getJson(jwksUrlOf(issuer, await getJson(discovery(issuer))))),
      );
      kept = { find, atMs: clock.monotonicMs() };
      return true;
    } catch (caught) {
      log.warn({ issuer, err: caught }, 'the keys of a token provider cannot be had; it is asked again');
      return false;
    }
  }

  const isKept = (forMs: number): boolean => kept !== undefined && clock.monotonicMs() - kept.atMs < forMs;

  return async (header, token) => {
    const startMs = clock.monotonicMs();
    if (!isKept(FRESH_MS)) await renew();
    const first = kept;
    if (first === undefined || !isKept(KEPT_MS)) throw unavailable();
    try {
      return await first.find(header, token);
    } catch (caught) {
      if (!(caught instanceof errors.JWKSNoMatchingKey)) throw caught;
      if (first.atMs >= startMs) throw caught;
      // A key that is new there, or one that was never there: only the provider can tell.
      if (kept === first && !(await renew())) throw unavailable({ cause: caught });
      return (kept ?? first).find(header, token);
    }
  };
}

/** OpenID Connect Discovery 1.0, section 4. */
function discovery(issuer: string): string {
  return `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
}

/** Section 4.3: the document is of the very issuer that was asked. */
function jwksUrlOf(issuer: string, document: unknown): string {
  if (!isRecord(document) || document['issuer'] !== issuer)
    throw new Error('its discovery document is of another issuer');
  const url = document['jwks_uri'];
  if (typeof url !== 'string' || url.length > MAX_URL_LENGTH || !isConfidential(url, issuer))
    throw new Error('its discovery document names no place of its keys that can be trusted');
  return url;
}

/** Keys come over TLS, except from this machine where the issuer itself is here. */
function isConfidential(text: string, issuer: string): boolean {
  const url = URL.parse(text);
  if (url?.protocol === 'https:') return true;
  return url?.protocol === 'http:' && url.host === new URL(issuer).host;
}

function keySetOf(value: unknown): { keys: object[] } {
  const keys: unknown = isRecord(value) ? value['keys'] : undefined;
  if (!Array.isArray(keys) || keys.length === 0 || keys.length > MAX_KEYS || !keys.every(isRecord))
    throw new Error(`its key set does not have 1 to ${MAX_KEYS} keys`);
  return { keys };
}

function unavailable(options?: ErrorOptions): CoPilotError {
  return new CoPilotError(
    'ENROLMENT_UNAVAILABLE',
    'the provider of the token does not answer at the moment; try again',
    options,
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
