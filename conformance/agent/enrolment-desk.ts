import type { IncomingMessage, ServerResponse } from 'node:http';
import { base64url, fromBase64url, idOf } from '../../protocol/encoding.ts';
import {
  encodeEnrolmentCode,
  ENROLMENT_PATHS,
  isEnrolmentRequest,
  isRenewalRequest,
  MAX_ENROLMENT_BYTES,
  type ProofPurpose,
  verifyProof,
} from '../../protocol/enrolment.ts';
import type { Identity } from '../../protocol/generated/types.ts';
import type { PrivateKey, Runtime } from '../../protocol/runtime/runtime.ts';
import { judgeIdentity, signIdentity } from '../../protocol/tokens.ts';
import type { Faults } from './faults.ts';
import { type HttpDesk, openHttpDesk, readBody, sendJson } from './http-desk.ts';

/** A request that came to the enrolment address. */
export interface EnrolmentVisit {
  readonly path: string;
  readonly atMs: number;
  readonly body: unknown;
}

/** How enrolment is answered; a case may change it. */
export interface EnrolmentManners {
  /** How long identities live. */
  lifeSeconds: number;
  /** Instead of the true answer to a path; undefined gives the true one. */
  answer: (path: string, truth: object) => EnrolmentAnswer | undefined;
}

export interface EnrolmentAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text is sent as it is. */
  readonly body: object | string;
}

export interface EnrolmentOptions {
  readonly runtime: Runtime;
  readonly installation: string;
  readonly identityKey: PrivateKey;
  readonly certifier: PrivateKey;
  readonly busUrls: () => readonly string[];
  readonly faults: Faults;
}

/** Enrolment as E says, for one agent. */
export interface EnrolmentDesk {
  readonly manners: EnrolmentManners;
  readonly visits: readonly EnrolmentVisit[];
  /** What was handed out that nobody may log: the code's secret and identities. */
  readonly secrets: readonly string[];
  readonly port: number;
  /** A code for this desk, or with another address. */
  code(url?: string): string;
  /** The key of whoever enrolled. */
  signingKey(): Uint8Array | undefined;
  visitsTo(path: string): readonly EnrolmentVisit[];
  close(): Promise<void>;
}

const OWNER = 'somebody';
const SITE = 'here';

export async function openEnrolmentDesk(options: EnrolmentOptions, host: string): Promise<EnrolmentDesk> {
  const desk = new Desk(options);
  await desk.open(host);
  return desk;
}

class Desk implements EnrolmentDesk {
  readonly manners: EnrolmentManners = { lifeSeconds: 86_400, answer: () => undefined };
  readonly visits: EnrolmentVisit[] = [];
  readonly secrets: string[] = [];
  readonly #options: EnrolmentOptions;
  readonly #secret: string;
  readonly #challenges = new Set<string>();
  #sig: string | undefined;
  #kex: string | undefined;
  #http: HttpDesk | undefined;

  constructor(options: EnrolmentOptions) {
    this.#options = options;
    this.#secret = base64url(options.runtime.random.bytes(24));
    this.secrets.push(this.#secret);
  }

  get port(): number {
    return this.#http?.port ?? 0;
  }

  async open(host: string): Promise<void> {
    this.#http = await openHttpDesk(host, (request, response) => void this.#serve(request, response));
  }

  code(url = `http://127.0.0.1:${this.port}`): string {
    return encodeEnrolmentCode({
      url,
      certifier: this.#options.certifier.publicKey.raw,
      secret: this.#secret,
    });
  }

  signingKey(): Uint8Array | undefined {
    return this.#sig === undefined ? undefined : fromBase64url(this.#sig);
  }

  visitsTo(path: string): readonly EnrolmentVisit[] {
    return this.visits.filter((visit) => visit.path === path);
  }

  async close(): Promise<void> {
    await this.#http?.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '';
    const body = parsed((await readBody(request, MAX_ENROLMENT_BYTES + 1)).toString('utf8'));
    this.visits.push({ path, atMs: performance.now(), body });
    const truth: EnrolmentAnswer & { readonly body: object } =
      request.method === 'POST' ? this.#answer(path, body) : refused(404, 'NOT_FOUND');
    const { status, headers, body: answer } = this.manners.answer(path, truth.body) ?? truth;
    if (typeof answer !== 'string') {
      for (const [name, value] of Object.entries(headers ?? {})) response.setHeader(name, value);
      sendJson(response, status, answer);
      return;
    }
    response.writeHead(status, headers);
    response.end(answer);
  }

  #answer(path: string, body: unknown): { readonly status: number; readonly body: object } {
    switch (path) {
      case ENROLMENT_PATHS.challenge:
        return this.#challenge();
      case ENROLMENT_PATHS.enrol:
        return this.#enrol(body);
      case ENROLMENT_PATHS.renew:
        return this.#renew(body);
      default:
        return refused(404, 'NOT_FOUND');
    }
  }

  #challenge(): { readonly status: number; readonly body: object } {
    const challenge = base64url(this.#options.runtime.random.bytes(24));
    this.#challenges.add(challenge);
    return { status: 200, body: { challenge, installation: this.#options.installation } };
  }

  #enrol(body: unknown): { readonly status: number; readonly body: object } {
    const { faults, installation, busUrls, certifier } = this.#options;
    if (!isEnrolmentRequest(body) || body.method !== 'code') {
      faults.note('E-6', 'its enrolment request is not as the protocol says');
      return refused(400, 'INVALID_REQUEST');
    }
    const extra = Object.keys(body).filter(
      (name) => !['method', 'code', 'challenge', 'sig', 'kex', 'proof'].includes(name),
    );
    if (extra.length > 0)
      faults.note('E-6', `its enrolment request has fields of its own: ${extra.join(', ')}`);
    if (body.code !== this.#secret) {
      faults.note('E-2', 'it sent another secret than its code has');
      return refused(403, 'ENROLMENT_REFUSED');
    }
    if (!this.#isProved('enrol', body.challenge, body.sig, body.kex, body.proof))
      return refused(403, 'ENROLMENT_REFUSED');
    if (this.#sig !== undefined && this.#sig !== body.sig)
      faults.note('E-1', 'it enrolled a second key with one code');
    this.#sig = body.sig;
    this.#kex = body.kex;
    return {
      status: 200,
      body: {
        identity: this.#identity(),
        installation,
        certifier: base64url(certifier.publicKey.raw),
        bus: busUrls(),
        expiresInSeconds: this.manners.lifeSeconds,
      },
    };
  }

  #renew(body: unknown): { readonly status: number; readonly body: object } {
    const { faults, runtime, identityKey, certifier } = this.#options;
    if (!isRenewalRequest(body)) {
      faults.note('E-11', 'its request for a renewal is not as the protocol says');
      return refused(400, 'INVALID_REQUEST');
    }
    const judged = judgeIdentity(
      runtime.crypto,
      identityKey.publicKey,
      body.identity,
      runtime.clock.wallMs(),
    );
    if (judged.kind !== 'valid' && judged.kind !== 'expired') {
      faults.note('E-11', 'it renewed an identity that is none of ours');
      return refused(403, 'ENROLMENT_REFUSED');
    }
    const { sig, kex } = judged.claims;
    if (!this.#isProved('renew', body.challenge, sig, kex, body.proof))
      return refused(403, 'ENROLMENT_REFUSED');
    return {
      status: 200,
      body: {
        identity: this.#identity(),
        certifier: base64url(certifier.publicKey.raw),
        expiresInSeconds: this.manners.lifeSeconds,
      },
    };
  }

  #isProved(purpose: ProofPurpose, challenge: string, sig: string, kex: string, proof: string): boolean {
    const { faults, runtime, installation } = this.#options;
    if (!this.#challenges.delete(challenge)) {
      faults.note('E-4', 'it answered a challenge it was not given, or the same twice');
      return false;
    }
    const key = runtime.crypto.importPublic('ed25519', fromBase64url(sig) ?? new Uint8Array(32));
    const isRight = verifyProof(runtime.crypto, key, purpose, { installation, challenge, sig, kex }, proof);
    if (!isRight) faults.note(purpose === 'enrol' ? 'E-5' : 'E-11', 'its proof does not hold');
    return isRight;
  }

  /** A fresh one of whoever enrolled. */
  #identity(): string {
    const { runtime, installation, identityKey } = this.#options;
    const now = Math.floor(runtime.clock.wallMs() / 1000);
    const sig = this.#sig ?? '';
    const claims: Identity = {
      iss: installation,
      sub: idOf((data) => runtime.crypto.sha256(data), `co-pilot-agent-1\n${installation}\n${sig}`),
      owner: OWNER,
      site: SITE,
      tier: 'untrusted',
      sig,
      kex: this.#kex ?? '',
      iat: now,
      exp: now + Math.ceil(this.manners.lifeSeconds),
    };
    const identity = signIdentity(runtime.crypto, identityKey, claims);
    this.secrets.push(identity);
    return identity;
  }
}

function refused(status: number, code: string): { readonly status: number; readonly body: object } {
  return { status, body: { code, message: 'as the case says' } };
}

function parsed(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    return undefined; // whoever reads it says what is wrong
  }
}
