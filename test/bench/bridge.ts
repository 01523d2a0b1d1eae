import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { digestField } from '../../protocol/digest-field.ts';
import { createDpopProof } from '../../protocol/dpop.ts';
import type { Capability } from '../../protocol/generated/types.ts';
import { createCrypto, nodeClock, nodeRandom } from '../../protocol/runtime/node-runtime.ts';
import { thumbprint } from '../../protocol/tokens.ts';
import type { BareFileQuestions } from './bare-file-peer.ts';
import type { BridgeQuestions } from './bridge-peer.ts';
import { type Peer, startPeer } from './peer.ts';
import { median } from './statistics.ts';

/** Seconds that one gigabyte took, and what it left of memory. */
export interface BridgeTransfers {
  readonly bytes: number;
  readonly rounds: readonly BridgeRound[];
  /** Medians of the bare server's seconds over the bridge's. */
  readonly uploadRatio: number;
  readonly downloadRatio: number;
  /** How far the bridge's resident memory ever rose above what it was before the first transfer. */
  readonly grownBytes: number;
  readonly bareGrownBytes: number;
}

export interface BridgeRound {
  readonly uploadSeconds: number;
  readonly bareUploadSeconds: number;
  readonly downloadSeconds: number;
  readonly bareDownloadSeconds: number;
}

const MEBIBYTE = 1024 ** 2;
const BYTES = 1024 * MEBIBYTE;
const PIECE = nodeRandom.bytes(MEBIBYTE);
const OPERATOR_TOKEN = 'operator-token-of-the-benchmark';
const JOB = 'a'.repeat(26);
const crypto = createCrypto();
const key = crypto.generate('ed25519');
const jkt = thumbprint(crypto, key.publicKey.raw);

/** One file up and down, the bridge and the bare server in turns; the load is the same program for both. */
export async function measureBridge(directory: string, rounds: number): Promise<BridgeTransfers> {
  const bridge = startPeer<BridgeQuestions>('bridge-peer.ts');
  const bare = startPeer<BareFileQuestions>('bare-file-peer.ts');
  try {
    const { url } = await bridge.ask('start', {
      directory: join(directory, 'bridge'),
      operatorToken: OPERATOR_TOKEN,
    });
    const barePath = join(directory, 'bare');
    const { url: bareUrl } = await bare.ask('start', barePath);
    const sha256 = digestOfAll();
    const before = [await bridge.ask('memory', null), await bare.ask('memory', null)] as const;
    await bringInput(url, sha256);
    await put(`${bareUrl}/file`, {});
    const done: BridgeRound[] = [];
    for (let attempt = 1; attempt <= rounds; attempt += 1) {
      const uploadSeconds = await upload(bridge, attempt, sha256);
      await rm(barePath);
      const bareUploadSeconds = await timed(() => put(`${bareUrl}/file`, {}));
      const downloadSeconds = await download(bridge, sha256);
      const bareDownloadSeconds = await timed(() => get(`${bareUrl}/file`, {}));
      done.push({ uploadSeconds, bareUploadSeconds, downloadSeconds, bareDownloadSeconds });
    }
    const after = [await bridge.ask('memory', null), await bare.ask('memory', null)] as const;
    const middle = (of: (round: BridgeRound) => number): number => median(done.map(of));
    return {
      bytes: BYTES,
      rounds: done,
      uploadRatio: middle((round) => round.bareUploadSeconds) / middle((round) => round.uploadSeconds),
      downloadRatio: middle((round) => round.bareDownloadSeconds) / middle((round) => round.downloadSeconds),
      grownBytes: after[0].largest - before[0].now,
      bareGrownBytes: after[1].largest - before[1].now,
    };
  } finally {
    await Promise.all([bridge.stop(), bare.stop()]);
  }
}

function digestOfAll(): string {
  const hash = createHash('sha256');
  for (let at = 0; at < BYTES; at += PIECE.length) hash.update(PIECE);
  return hash.digest('hex');
}

async function bringInput(url: string, sha256: string): Promise<void> {
  await put(`${url}/v1/inputs/${sha256}`, { Authorization: `Bearer ${OPERATOR_TOKEN}` });
}

/** The whole way of an agent: capability, proof, bytes, row; then room is made for the next. */
async function upload(bridge: Peer<BridgeQuestions>, attempt: number, sha256: string): Promise<number> {
  const wish = { put: [{ name: 'output', maxBytes: BYTES }], get: [] };
  const capability = await mint(bridge, attempt, wish);
  const headers = { ...(await proofOf('PUT', capability)), 'Repr-Digest': digestField(sha256) };
  const seconds = await timed(() => put(capability.url, headers));
  await bridge.ask('discard', { job: JOB, attempt });
  return seconds;
}

async function download(bridge: Peer<BridgeQuestions>, sha256: string): Promise<number> {
  const wish = { get: [{ name: 'input', size: BYTES, sha256 }], put: [] };
  const capability = await mint(bridge, 1_000_000, wish);
  const headers = await proofOf('GET', capability);
  return timed(() => get(capability.url, headers));
}

async function mint(
  bridge: Peer<BridgeQuestions>,
  attempt: number,
  wish: Pick<Parameters<BridgeQuestions['mint']>[0], 'get' | 'put'>,
): Promise<Capability> {
  const iat = Math.floor(nodeClock.wallMs() / 1000);
  const grant = { iss: 'bench', job: JOB, attempt, jkt, ...wish, totalBytes: BYTES, iat, exp: iat + 600 };
  const [capability] = await bridge.ask('mint', grant);
  if (capability === undefined) throw new Error('the bridge minted nothing');
  return capability;
}

/** A proof with a nonce of now, which a first request without one is answered with. */
async function proofOf(method: string, { url, token }: Capability): Promise<Record<string, string>> {
  const authorization = `DPoP ${token}`;
  const refused = await ask('HEAD', url, { Authorization: authorization });
  refused.resume();
  const nonce = String(refused.headers['dpop-nonce']);
  const proof = createDpopProof(crypto, nodeRandom, key, {
    method,
    url,
    token,
    nonce,
    wallMs: nodeClock.wallMs(),
  });
  return { Authorization: authorization, DPoP: proof };
}

async function timed(action: () => Promise<void>): Promise<number> {
  const from = performance.now();
  await action();
  return (performance.now() - from) / 1000;
}

async function put(url: string, headers: Readonly<Record<string, string>>): Promise<void> {
  const outgoing = request(url, {
    method: 'PUT',
    headers: { ...headers, 'Content-Length': BYTES },
    agent: false,
  });
  const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>;
  for (let at = 0; at < BYTES; at += PIECE.length) {
    if (!outgoing.write(PIECE)) await Promise.race([once(outgoing, 'drain'), answered]);
  }
  outgoing.end();
  const [answer] = await answered;
  await finish(answer, 201);
}

async function get(url: string, headers: Readonly<Record<string, string>>): Promise<void> {
  const bytes = await finish(await ask('GET', url, headers), 200);
  if (bytes !== BYTES) throw new Error(`${bytes} bytes came`);
}

async function ask(
  method: string,
  url: string,
  headers: Readonly<Record<string, string>>,
): Promise<IncomingMessage> {
  const outgoing = request(url, { method, headers, agent: false });
  outgoing.end();
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
  return answer;
}

async function finish(answer: IncomingMessage, status: number): Promise<number> {
  let bytes = 0;
  answer.on('data', (chunk: Uint8Array) => {
    bytes += chunk.length;
  });
  await once(answer, 'end');
  if (answer.statusCode !== status) throw new Error(`the answer was ${answer.statusCode}`);
  return bytes;
}
