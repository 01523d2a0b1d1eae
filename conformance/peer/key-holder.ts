import { createHash } from 'node:crypto';
import { digestField } from '../../protocol/digest-field.ts';
import { createDpopProof } from '../../protocol/dpop.ts';
import type { Capability, File } from '../../protocol/generated/types.ts';
import type { PrivateKey, Runtime } from '../../protocol/runtime/runtime.ts';
import { expect } from '../expectation.ts';
import { codeOf, exchange, type HttpAnswer, type HttpAsk } from './http.ts';

/** A request to storage, and what differs from the right one. */
export interface StorageAsk extends HttpAsk {
  readonly token: string;
  /** What the proof is made for, where it is not the request itself. */
  readonly proved?: { readonly method?: string; readonly url?: string; readonly token?: string };
  /** The nonce of the proof; the last one heard where it is left out, none where it is empty. */
  readonly nonce?: string;
  /** Changes the proof itself; undefined leaves its header out. */
  readonly spoil?: (proof: string) => string | undefined;
  /** Changes the `Authorization` header; undefined leaves it out. */
  readonly authorization?: (right: string) => string | undefined;
}

/** Whoever holds a signing key, as the Data Bridge sees it (C-3 to C-6). */
export interface KeyHolder {
  /** One request, exactly as told. */
  once(ask: StorageAsk): Promise<HttpAnswer>;
  /** Asks again with the nonce the answer brought, where one was missing (C-5). */
  ask(ask: StorageAsk): Promise<HttpAnswer>;
  put(capability: Capability, bytes: Uint8Array, change?: Partial<StorageAsk>): Promise<HttpAnswer>;
  patch(capability: Capability, piece: Piece, change?: Partial<StorageAsk>): Promise<HttpAnswer>;
  head(capability: Capability): Promise<HttpAnswer>;
  get(capability: Capability, headers?: Readonly<Record<string, string>>): Promise<HttpAnswer>;
  /** Uploads and answers what a manifest says of it; `Failed` where it is refused. */
  upload(capability: Capability, bytes: Uint8Array): Promise<File>;
}

export interface Piece {
  readonly whole: Uint8Array;
  readonly from: number;
  readonly to: number;
}

export function createKeyHolder(runtime: Runtime, key: PrivateKey, signal: AbortSignal): KeyHolder {
  const nonces = new Map<string, string>();

  async function once(ask: StorageAsk): Promise<HttpAnswer> {
    const { origin } = new URL(ask.url);
    const nonce = ask.nonce ?? nonces.get(origin);
    const proof = createDpopProof(runtime.crypto, runtime.random, key, {
      method: ask.proved?.method ?? ask.method,
      url: ask.proved?.url ?? ask.url,
      token: ask.proved?.token ?? ask.token,
      nonce: nonce === '' ? undefined : nonce,
      wallMs: runtime.clock.wallMs(),
    });
    const right = `DPoP ${ask.token}`;
    const authorization = ask.authorization === undefined ? right : ask.authorization(right);
    const shown = ask.spoil === undefined ? proof : ask.spoil(proof);
    const headers = {
      ...ask.headers,
      ...(authorization !== undefined && { authorization }),
      ...(shown !== undefined && { dpop: shown }),
    };
    const answer = await exchange({ ...ask, headers }, signal);
    const fresh = answer.headers['dpop-nonce'];
    if (typeof fresh === 'string') nonces.set(origin, fresh);
    return answer;
  }

  async function ask(wanted: StorageAsk): Promise<HttpAnswer> {
    const answer = await once(wanted);
    return codeOf(answer) === 'DPOP_NONCE_REQUIRED' && wanted.nonce === undefined ? once(wanted) : answer;
  }

  const holder: KeyHolder = {
    once,
    ask,
    put: (capability, bytes, change) => ask({ ...putOf(capability, bytes), ...change }),
    patch: (capability, piece, change) => ask({ ...patchOf(capability, piece), ...change }),
    head: ({ token, url }) => ask({ method: 'HEAD', url, token }),
    get: ({ token, url }, headers = {}) => ask({ method: 'GET', url, token, headers }),
    async upload(capability, bytes) {
      const answer = await holder.put(capability, bytes);
      expect(
        answer.status === 201 || answer.status === 200,
        `an upload was answered ${answer.status} ${codeOf(answer)}`,
      );
      return { name: capability.name, size: bytes.length, sha256: sha256Of(bytes) };
    },
  };
  return holder;
}

/** A right `PUT` of a whole file (C-10). */
export function putOf({ token, url }: Capability, bytes: Uint8Array): StorageAsk {
  const headers = { 'content-length': bytes.length, 'repr-digest': digestField(sha256Of(bytes)) };
  return { method: 'PUT', url, token, headers, body: bytes };
}

/** A right `PATCH` of one piece (C-12). */
export function patchOf({ token, url }: Capability, { whole, from, to }: Piece): StorageAsk {
  const headers = {
    'content-length': to - from,
    'content-type': 'application/offset+octet-stream',
    'repr-digest': digestField(sha256Of(whole)),
    'upload-length': whole.length,
    'upload-offset': from,
  };
  return { method: 'PATCH', url, token, headers, body: whole.subarray(from, to) };
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
