import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { freePort } from './free-port.ts';
import type { IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTransfers } from '../../agent/transfers/http-transfers.ts';
import type { TransferTuning } from '../../agent/transfers/transfer-parts.ts';
import type { Transfers } from '../../agent/transfers/transfers.ts';
import { createBridge } from '../../adapters/storage/bridge/bridge.ts';
import type { Bridge, BridgeOptions } from '../../adapters/storage/bridge/bridge.ts';
import type { Ceiling } from '../../adapters/storage/ceiling.ts';
import type { AttemptRef } from '../../adapters/storage/storage-adapter.ts';
import { digestField } from '../../protocol/digest-field.ts';
import { createDpopProof } from '../../protocol/dpop.ts';
import type { Capability, File, Grant } from '../../protocol/generated/types.ts';
import { createCrypto, nodeClock, nodeRandom } from '../../protocol/runtime/node-runtime.ts';
import type { Clock, PrivateKey } from '../../protocol/runtime/runtime.ts';
import { thumbprint } from '../../protocol/tokens.ts';
import { silentLog } from './silent-log.ts';

export const OPERATOR_TOKEN = 'operator-token-of-the-test';
export const MIB = 1024 * 1024;
export const crypto = createCrypto();

export const CEILING: Ceiling = {
  maxFileBytes: 512 * MIB,
  maxAttemptBytes: 1024 * MIB,
  maxTotalBytes: 4096 * MIB,
  verbs: ['get', 'put'],
};

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** The stable code of a refusal. */
  readonly code: string | undefined;
}

export interface Ask {
  readonly method: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly body?: Uint8Array;
}

/** An agent as storage sees it: a key, and requests with whatever proof the test wants. */
export interface TestAgent {
  readonly key: PrivateKey;
  readonly jkt: string;
  /** A request with a right proof; a nonce is fetched where none is known. */
  ask(capability: Pick<Capability, 'token'>, ask: Ask): Promise<Answer>;
  put(capability: Capability, bytes: Uint8Array, headers?: Record<string, string | number>): Promise<Answer>;
  patch(capability: Capability, piece: TestPiece): Promise<Answer>;
  head(capability: Capability): Promise<Answer>;
}

export interface TestPiece {
  readonly whole: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly headers?: Record<string, string | number>;
}

export interface BridgeWorld {
  readonly directory: string;
  readonly agent: TestAgent;
  readonly transfers: Transfers;
  bridge(): Bridge;
  url(): string;
  /** The port it really listens on, whatever its public address says. */
  listeningPort(): number;
  restart(): Promise<void>;
  close(): Promise<void>;
}

export type WorldOptions = Partial<BridgeOptions> & { readonly tuning?: Partial<TransferTuning> };

/** A bridge on a directory of its own, and an agent that may use it. */
export async function openBridgeWorld(options: WorldOptions = {}): Promise<BridgeWorld> {
  const directory = await mkdtemp(join(tmpdir(), 'bridge-'));
  const open = async (): Promise<{ bridge: Bridge; url: string }> => {
    const bridge = createBridge({ ...defaults(directory, port), ...options });
    return { bridge, url: (await bridge.start()).url };
  };
  const port = await freePort();
  let live = await open();
  const agent = createTestAgent();
  const transfers = createTransfers({
    clock: nodeClock,
    crypto,
    key: agent.key,
    log: silentLog,
    random: nodeRandom,
    tuning: { baseMs: 20, maxMs: 200, ...options.tuning },
  });
  return {
    directory,
    agent,
    transfers,
    bridge: () => live.bridge,
    url: () => live.url,
    listeningPort: () => port,
    async restart() {
      await live.bridge.stop();
      live = await open();
      await live.bridge.swept(); // an attempt being swept answers STORAGE_BUSY for a moment
    },
    async close() {
      await live.bridge.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function defaults(directory: string, port: number): BridgeOptions {
  return {
    directory: join(directory, 'bridge'),
    host: '127.0.0.1',
    port,
    operatorToken: OPERATOR_TOKEN,
    ceiling: CEILING,
    clock: nodeClock,
    random: nodeRandom,
    crypto,
    log: silentLog,
    limits: { stopGraceMs: 200 },
  };
}

export function createTestAgent(clock: Clock = nodeClock): TestAgent {
  const key = crypto.generate('ed25519');
  const nonces = new Map<string, string>();
  const once = async (token: string, ask: Ask): Promise<Answer> => {
    const { origin } = new URL(ask.url);
    const proof = createDpopProof(crypto, nodeRandom, key, {
      method: ask.method,
      url: ask.url,
      token,
      nonce: nonces.get(origin),
      wallMs: clock.wallMs(),
    });
    const headers = { ...ask.headers, Authorization: `DPoP ${token}`, DPoP: proof };
    const answer = await send({ ...ask, headers });
    const nonce = answer.headers['dpop-nonce'];
    if (typeof nonce === 'string') nonces.set(origin, nonce);
    return answer;
  };
  const agent: TestAgent = {
    key,
    jkt: thumbprint(crypto, key.publicKey.raw),
    async ask({ token }, ask) {
      const answer = await once(token, ask);
      return answer.code === 'DPOP_NONCE_REQUIRED' ? once(token, ask) : answer;
    },
    put: (capability, bytes, headers) =>
      agent.ask(capability, {
        method: 'PUT',
        url: capability.url,
        body: bytes,
        headers: {
          'Content-Length': bytes.length,
          'Repr-Digest': digestField(sha256Of(bytes)),
          ...headers,
        },
      }),
    patch: (capability, { whole, start, end, headers }) =>
      agent.ask(capability, {
        method: 'PATCH',
        url: capability.url,
        body: whole.subarray(start, end),
        headers: {
          'Content-Length': end - start,
          'Content-Type': 'application/offset+octet-stream',
          'Repr-Digest': digestField(sha256Of(whole)),
          'Upload-Length': whole.length,
          'Upload-Offset': start,
          ...headers,
        },
      }),
    head: (capability) => agent.ask(capability, { method: 'HEAD', url: capability.url }),
  };
  return agent;
}

/** One request as the headers say, the URL sent as it is written. */
export function send(ask: Ask): Promise<Answer> {
  const url = new URL(ask.url);
  const path = ask.url.slice(url.origin.length);
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: url.hostname,
        port: url.port,
        path,
        method: ask.method,
        headers: { ...ask.headers },
        agent: false,
      },
      (incoming) => {
        const chunks: Uint8Array[] = [];
        incoming.on('data', (chunk: Uint8Array) => chunks.push(chunk));
        incoming.on('error', reject);
        incoming.on('end', () => {
          const body = Buffer.concat(chunks);
          const code = incoming.headers['error-code'];
          const { statusCode: status = 0, headers } = incoming;
          resolve({ status, headers, body, code: typeof code === 'string' ? code : undefined });
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.setTimeout(20_000, () => outgoing.destroy(new Error('no answer')));
    outgoing.end(ask.body);
  });
}

/** What the trusted side does. */
export function asOperator(ask: Ask): Promise<Answer> {
  return send({ ...ask, headers: { ...ask.headers, Authorization: `Bearer ${OPERATOR_TOKEN}` } });
}

export function putInput(url: string, bytes: Uint8Array): Promise<Answer> {
  return asOperator({
    method: 'PUT',
    url: `${url}/v1/inputs/${sha256Of(bytes)}`,
    body: bytes,
    headers: { 'Content-Length': bytes.length },
  });
}

export const JOB = 'a'.repeat(26);
export const OTHER_JOB = 'b'.repeat(26);

export interface GrantWish {
  readonly job?: string;
  readonly attempt?: number;
  readonly get?: Grant['get'];
  readonly put?: Grant['put'];
  readonly totalBytes?: number;
  readonly lifeSeconds?: number;
  readonly clock?: Clock;
}

export function grantFor(jkt: string, wish: GrantWish): Grant {
  const iat = Math.floor((wish.clock ?? nodeClock).wallMs() / 1000);
  return {
    iss: 'test',
    job: wish.job ?? JOB,
    attempt: wish.attempt ?? 1,
    jkt,
    get: wish.get ?? [],
    put: wish.put ?? [],
    totalBytes: wish.totalBytes ?? 512 * MIB,
    iat,
    exp: iat + (wish.lifeSeconds ?? 600),
  };
}

/** One capability to upload a file, of the first attempt unless told otherwise. */
export async function mintPut(
  world: Pick<BridgeWorld, 'bridge' | 'agent'>,
  name: string,
  wish: GrantWish & { readonly maxBytes?: number; readonly sha256?: string } = {},
): Promise<Capability> {
  const file = { name, maxBytes: wish.maxBytes ?? 512 * MIB };
  const put = [wish.sha256 === undefined ? file : { ...file, sha256: wish.sha256 }];
  const [capability] = await world.bridge().adapter.mint(grantFor(world.agent.jkt, { ...wish, put }));
  if (capability === undefined) throw new Error('nothing was minted');
  return capability;
}

export async function mintGet(
  world: Pick<BridgeWorld, 'bridge' | 'agent'>,
  bytes: Uint8Array,
  wish: GrantWish = {},
): Promise<Capability> {
  const get = [{ name: 'input.dat', size: bytes.length, sha256: sha256Of(bytes) }];
  const [capability] = await world.bridge().adapter.mint(grantFor(world.agent.jkt, { ...wish, get }));
  if (capability === undefined) throw new Error('nothing was minted');
  return capability;
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function fileOf(name: string, bytes: Uint8Array): File {
  return { name, size: bytes.length, sha256: sha256Of(bytes) };
}

export function attemptOf(job = JOB, attempt = 1): AttemptRef {
  return { job, attempt };
}

/** Bytes that compress badly and differ by seed. */
export function someBytes(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let word = seed >>> 0 || 1;
  for (let at = 0; at < length; at++) {
    word ^= word << 13;
    word ^= word >>> 17;
    word ^= word << 5;
    bytes[at] = word;
  }
  return bytes;
}
