import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { digestField, sha256OfField } from '../../protocol/digest-field.ts';
import { judgeDpopProof } from '../../protocol/dpop.ts';
import { base64url, fromBase64url, textOf } from '../../protocol/encoding.ts';
import type { Attempt, Capability, File } from '../../protocol/generated/types.ts';
import type { Runtime } from '../../protocol/runtime/runtime.ts';
import { thumbprint } from '../../protocol/tokens.ts';
import type { Faults } from './faults.ts';
import { type HttpDesk, openHttpDesk, sendJson } from './http-desk.ts';

/** A request that came, and how it was answered. */
export interface StorageVisit {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly atMs: number;
  status: number;
}

/** How the next request of a method is answered, instead of rightly. */
export type Twist =
  | { readonly kind: 'refuse'; readonly status: number; readonly code: string }
  | { readonly kind: 'redirect'; readonly to: string }
  /** GET: the connection ends after so many bytes; PUT and PATCH: so many bytes are kept, then it ends. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** GET: these bytes instead. */
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** GET: the whole file whatever range was asked for. */
  | { readonly kind: 'whole' }
  /** All nonces handed out so far are too old. */
  | { readonly kind: 'forget-nonces' }
  /** The answer waits. */
  | { readonly kind: 'late'; readonly ms: number };

interface Token {
  readonly capability: Capability;
  readonly attempt: Attempt;
}

interface Stored {
  readonly size: number;
  readonly sha256: string;
  bytes: Buffer;
}

export interface StorageOptions {
  readonly runtime: Runtime;
  readonly faults: Faults;
  /** The raw Ed25519 key capabilities are bound to. */
  readonly signingKey: () => Uint8Array | undefined;
}

type Method = 'GET' | 'HEAD' | 'PUT' | 'PATCH';

/** A Data Bridge of the suite's own, in memory. */
export class Storage {
  readonly visits: StorageVisit[] = [];
  readonly #options: StorageOptions;
  readonly #inputs = new Map<string, Uint8Array>();
  readonly #tokens = new Map<string, Token>();
  readonly #files = new Map<string, Stored>();
  readonly #nonces = new Set<string>();
  readonly #proofs = new Set<string>();
  readonly #twists: { readonly method: Method; readonly twist: Twist }[] = [];
  readonly #timers = new Set<NodeJS.Timeout>();
  #http: HttpDesk | undefined;

  constructor(options: StorageOptions) {
    this.#options = options;
  }

  async open(host: string): Promise<void> {
    this.#http = await openHttpDesk(host, (request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#http?.port ?? 0}`;
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    await this.#http?.close();
  }

  /** The next request of the method is answered so, and each further twist the one after; those that are not used stay. */
  twist(method: Method, ...twists: readonly Twist[]): void {
    this.#twists.push(...twists.map((twist) => ({ method, twist })));
  }

  /** Forgets twists that no request met. */
  straighten(): void {
    this.#twists.length = 0;
  }

  addInput(bytes: Uint8Array): { readonly size: number; readonly sha256: string } {
    const sha256 = sha256Of(bytes);
    this.#inputs.set(sha256, bytes);
    return { size: bytes.length, sha256 };
  }

  capability(
    attempt: Attempt,
    verb: Capability['verb'],
    { name, sha256 }: Pick<File, 'name' | 'sha256'>,
  ): Capability {
    const path =
      verb === 'get' ? `/v1/inputs/${sha256}` : `/v1/attempts/${attempt.job}/${attempt.attempt}/${name}`;
    const token = base64url(this.#options.runtime.random.bytes(24));
    const capability: Capability = { verb, name, url: `${this.origin}${path}`, token };
    this.#tokens.set(token, { capability, attempt });
    return capability;
  }

  /** A file an attempt uploaded, whole. */
  uploaded({ job, attempt }: Attempt, name: string): Uint8Array | undefined {
    const stored = this.#files.get(`/v1/attempts/${job}/${attempt}/${name}`);
    return stored !== undefined && stored.bytes.length === stored.size ? stored.bytes : undefined;
  }

  isStored(attempt: Attempt, { name, size, sha256 }: File): boolean {
    const bytes = this.uploaded(attempt, name);
    return bytes?.length === size && sha256Of(bytes) === sha256;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request;
    const visit: StorageVisit = {
      method,
      path: url,
      headers: request.headers,
      atMs: performance.now(),
      status: 0,
    };
    this.visits.push(visit);
    response.on('finish', () => {
      visit.status = response.statusCode;
    });
    const twist = this.#takeTwist(method);
    if (twist?.kind === 'forget-nonces') this.#nonces.clear();
    if (twist?.kind === 'late') await this.#wait(twist.ms);
    if (request.headers['dpop'] !== undefined) response.setHeader('DPoP-Nonce', this.#newNonce());
    const refusal = this.#refusalOf(request);
    if (refusal !== undefined) {
      // A request that was not let in met no twist.
      if (twist !== undefined && twist.kind !== 'forget-nonces')
        this.#twists.unshift({ method: method as Method, twist });
      refuse(request, response, refusal.status, refusal.code);
      return;
    }
    if (twist?.kind === 'refuse') refuse(request, response, twist.status, twist.code);
    else if (twist?.kind === 'redirect') {
      request.resume();
      response.writeHead(307, { location: twist.to });
      response.end();
    } else await this.#do(request, response, twist);
  }

  #takeTwist(method: string): Twist | undefined {
    const at = this.#twists.findIndex((entry) => entry.method === method);
    return at < 0 ? undefined : this.#twists.splice(at, 1)[0]?.twist;
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        resolve();
      }, ms);
      this.#timers.add(timer);
    });
  }

  #newNonce(): string {
    const nonce = base64url(this.#options.runtime.random.bytes(12));
    this.#nonces.add(nonce);
    return nonce;
  }

  /** What our own bridge would refuse; what no right agent does is noted. */
  #refusalOf(request: IncomingMessage): { readonly status: number; readonly code: string } | undefined {
    const { faults, runtime } = this.#options;
    const { authorization = '', dpop } = request.headers;
    const token = /^DPoP (\S+)$/i.exec(authorization)?.[1] ?? '';
    const known = this.#tokens.get(token);
    if (known === undefined) {
      faults.note(
        'C-3',
        `a request to storage came without a capability's token: ${request.method ?? ''} ${request.url ?? ''}`,
      );
      return { status: 401, code: 'CAPABILITY_INVALID' };
    }
    if (typeof dpop !== 'string' || dpop.includes(',')) {
      faults.note('C-3', 'a request to storage came without one proof');
      return { status: 401, code: 'DPOP_INVALID' };
    }
    const url = `${this.origin}${request.url ?? ''}`;
    if (url !== known.capability.url)
      faults.note('C-2', `it used another URL than its capability's: ${request.url ?? ''}`);
    const judged = judgeDpopProof(runtime.crypto, dpop, {
      method: request.method ?? '',
      url: known.capability.url,
      token,
      freshness: { kind: 'nonce', accepts: (nonce) => this.#nonces.has(nonce) },
    });
    if (judged.kind === 'stale') return { status: 401, code: 'DPOP_NONCE_REQUIRED' };
    if (judged.kind === 'invalid') {
      faults.note('C-4', `its proof to storage is refused: ${judged.reason}`);
      return { status: 401, code: 'DPOP_INVALID' };
    }
    return this.#keyRefusal(dpop, judged.jkt, judged.id);
  }

  #keyRefusal(
    dpop: string,
    jkt: string,
    id: string,
  ): { readonly status: number; readonly code: string } | undefined {
    const { faults, runtime, signingKey } = this.#options;
    const key = signingKey();
    if (key !== undefined && thumbprint(runtime.crypto, key) !== jkt) {
      faults.note('C-4', 'its proof to storage is by another key than it enrolled');
      return { status: 401, code: 'CAPABILITY_WRONG_KEY' };
    }
    const fault = proofFault(dpop);
    if (fault !== undefined) faults.note('C-4', fault);
    if (this.#proofs.has(id)) {
      faults.note('C-4', 'it used the jti of a proof twice');
      return { status: 401, code: 'DPOP_REPLAYED' };
    }
    this.#proofs.add(id);
    return undefined;
  }

  async #do(request: IncomingMessage, response: ServerResponse, twist: Twist | undefined): Promise<void> {
    switch (request.method) {
      case 'GET':
        this.#get(request, response, twist);
        return;
      case 'HEAD':
        this.#head(request, response);
        return;
      case 'PUT':
        await this.#put(request, response, twist);
        return;
      case 'PATCH':
        await this.#patch(request, response, twist);
        return;
      default:
        this.#options.faults.note('C-2', `it said ${request.method ?? ''} to storage`);
        refuse(request, response, 400, 'MALFORMED_REQUEST');
    }
  }

  #get(request: IncomingMessage, response: ServerResponse, twist: Twist | undefined): void {
    const whole = this.#inputs.get(request.url?.split('/').at(-1) ?? '');
    if (whole === undefined) {
      refuse(request, response, 404, 'NOT_FOUND');
      return;
    }
    const bytes = twist?.kind === 'bytes' ? twist.bytes : whole;
    const from =
      twist?.kind === 'whole' || twist?.kind === 'bytes' ? undefined : rangeStart(request, bytes.length);
    const part = bytes.subarray(from ?? 0);
    response.writeHead(from === undefined ? 200 : 206, {
      'content-length': part.length,
      ...(from !== undefined && { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` }),
    });
    if (twist?.kind !== 'cut') {
      response.end(part);
      return;
    }
    response.write(part.subarray(0, twist.afterBytes), () => {
      // What was written reaches the agent before the end does.
      response.socket?.destroySoon();
    });
  }

  #head(request: IncomingMessage, response: ServerResponse): void {
    const stored = this.#files.get(request.url ?? '');
    if (stored === undefined) {
      refuse(request, response, 404, 'NOT_FOUND');
      return;
    }
    response.writeHead(200, { 'upload-offset': stored.bytes.length, 'upload-length': stored.size });
    response.end();
  }

  async #put(request: IncomingMessage, response: ServerResponse, twist: Twist | undefined): Promise<void> {
    const promised = this.#promise(request, Number(request.headers['content-length']), 'PUT');
    if (promised === undefined) {
      refuse(request, response, 400, 'MALFORMED_REQUEST');
      return;
    }
    const there = this.#files.get(request.url ?? '');
    if (there !== undefined && there.bytes.length === there.size && there.sha256 === promised.sha256) {
      request.resume();
      response.writeHead(200);
      response.end();
      return;
    }
    const stored: Stored = { ...promised, bytes: Buffer.alloc(0) };
    this.#files.set(request.url ?? '', stored);
    if (await this.#receive(request, response, stored, twist)) this.#finish(request, response, stored, 201);
  }

  async #patch(request: IncomingMessage, response: ServerResponse, twist: Twist | undefined): Promise<void> {
    const { headers, url = '' } = request;
    const { faults } = this.#options;
    if (headers['content-type'] !== 'application/offset+octet-stream')
      faults.note('C-12', 'its PATCH has another content type');
    const promised = this.#promise(request, Number(headers['upload-length']), 'PATCH');
    const offset = Number(headers['upload-offset']);
    if (promised === undefined || !Number.isSafeInteger(offset) || headers['content-length'] === undefined) {
      faults.note('C-12', 'its PATCH lacks a header');
      refuse(request, response, 400, 'MALFORMED_REQUEST');
      return;
    }
    const known = this.#files.get(url);
    const stored = known?.sha256 === promised.sha256 ? known : { ...promised, bytes: Buffer.alloc(0) };
    this.#files.set(url, stored);
    if (offset !== stored.bytes.length) {
      faults.note('C-12', `its PATCH begins at ${offset}, and storage has ${stored.bytes.length}`);
      refuse(request, response, 409, 'OFFSET_MISMATCH');
      return;
    }
    if (await this.#receive(request, response, stored, twist)) this.#finish(request, response, stored, 204);
  }

  /** Size and digest of the whole file, as the headers promise them. */
  #promise(
    request: IncomingMessage,
    size: number,
    method: string,
  ): { readonly size: number; readonly sha256: string } | undefined {
    const field = request.headers['repr-digest'];
    const sha256 = typeof field === 'string' ? sha256OfField(field) : undefined;
    if (Number.isSafeInteger(size) && size >= 0 && sha256 !== undefined) return { size, sha256 };
    this.#options.faults.note(
      method === 'PUT' ? 'C-10' : 'C-12',
      `its ${method} lacks a length or a digest such as ${digestField('0'.repeat(64))}`,
    );
    return undefined;
  }

  /** Whether the body came to its end. */
  async #receive(
    request: IncomingMessage,
    response: ServerResponse,
    stored: Stored,
    twist: Twist | undefined,
  ): Promise<boolean> {
    const most = twist?.kind === 'cut' ? stored.bytes.length + twist.afterBytes : Number.POSITIVE_INFINITY;
    const chunks: Uint8Array[] = [stored.bytes];
    let length = stored.bytes.length;
    const body: AsyncIterable<Uint8Array> = request;
    try {
      for await (const chunk of body) {
        const kept = chunk.subarray(0, Math.min(chunk.length, most - length));
        chunks.push(kept);
        length += kept.length;
        if (length >= most) break;
      }
    } finally {
      stored.bytes = Buffer.concat(chunks);
    }
    if (twist?.kind !== 'cut') return true;
    response.destroy();
    request.destroy();
    return false;
  }

  #finish(request: IncomingMessage, response: ServerResponse, stored: Stored, status: number): void {
    const { faults } = this.#options;
    if (stored.bytes.length > stored.size) faults.note('C-10', 'it sent more than it promised');
    const isWhole = stored.bytes.length >= stored.size;
    if (isWhole && sha256Of(stored.bytes) !== stored.sha256) {
      faults.note('C-10', 'what it uploaded is not what its digest says');
      this.#files.delete(request.url ?? '');
      refuse(request, response, 422, 'DIGEST_MISMATCH');
      return;
    }
    response.writeHead(status, { 'upload-offset': stored.bytes.length, 'upload-length': stored.size });
    response.end();
  }
}

/** What is wrong with a proof beyond what the bridge looks at. */
function proofFault(dpop: string): string | undefined {
  const header = partOf(dpop, 0);
  const claims = partOf(dpop, 1);
  if (header?.['alg'] !== 'EdDSA') return 'its proof has another algorithm than EdDSA';
  if (typeof claims?.['iat'] !== 'number' || !Number.isSafeInteger(claims['iat']))
    return 'the iat of its proof is no whole number of seconds';
  return typeof claims['ath'] === 'string' ? undefined : 'its proof names no token';
}

function partOf(jws: string, index: number): Readonly<Record<string, unknown>> | undefined {
  const value: unknown = JSON.parse(textOf(fromBase64url(jws.split('.')[index] ?? '') ?? new Uint8Array()));
  return typeof value === 'object' && value !== null
    ? (value as Readonly<Record<string, unknown>>)
    : undefined;
}

function refuse(request: IncomingMessage, response: ServerResponse, status: number, code: string): void {
  request.resume();
  response.setHeader('Error-Code', code);
  if (request.method === 'HEAD') {
    response.writeHead(status);
    response.end();
    return;
  }
  sendJson(response, status, { code, message: 'as the case says' });
}

function rangeStart(request: IncomingMessage, size: number): number | undefined {
  const start = Number(/^bytes=(\d+)-\d*$/.exec(request.headers.range ?? '')?.[1]);
  return Number.isSafeInteger(start) && start < size ? start : undefined;
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
