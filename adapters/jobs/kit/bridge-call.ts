import { type IncomingMessage, request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Agent } from 'undici';
import { CoPilotError } from '../../../protocol/errors.ts';
import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import type { BridgeAccess } from './bridge-access.ts';
import { exchange, type HttpAnswer, type HttpRequest, LINE_OPTIONS } from './http-exchange.ts';

export interface BridgeCall {
  readonly method: 'GET' | 'PUT';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly body?: Readable;
}

const SILENT_MS = 60_000;

/** Of a file that is carried in memory; a larger one goes in a stream. */
export const MOST_IN_MEMORY = 1024 * 1024;

const line = new Agent(LINE_OPTIONS);

/** One small request of the trusted side and its whole answer. Rejects with `UNREACHABLE` where there is none within a minute. */
export async function askBridge(
  { url, token }: BridgeAccess,
  request: HttpRequest,
  maxAnswerBytes: number,
): Promise<HttpAnswer> {
  const { origin, pathname } = new URL(url);
  const prefix = pathname.replace(/\/+$/, '');
  const headers = { authorization: `Bearer ${token}`, ...request.headers };
  const bounds = { clock: nodeClock, timeoutMs: SILENT_MS, maxAnswerBytes };
  try {
    return await exchange(line, origin, { ...request, path: `${prefix}${request.path}`, headers }, bounds);
  } catch (cause) {
    throw new CoPilotError('UNREACHABLE', 'the Data Bridge does not answer', { cause });
  }
}

/** One request of the trusted side and the head of its answer. Rejects with `UNREACHABLE` where the bridge is silent for a minute. */
export async function callBridge({ url, token }: BridgeAccess, call: BridgeCall): Promise<IncomingMessage> {
  const request = url.startsWith('https:') ? tlsRequest : plainRequest;
  return new Promise<IncomingMessage>((resolve, reject) => {
    const asked = request(`${url}${call.path}`, {
      method: call.method,
      headers: { authorization: `Bearer ${token}`, ...call.headers },
      timeout: SILENT_MS,
    });
    asked.once('response', resolve);
    asked.once('timeout', () => asked.destroy(new Error('no answer in time')));
    asked.once('error', reject);
    if (call.body === undefined) asked.end();
    else pipeline(call.body, asked).catch(reject);
  }).catch((cause: unknown) => {
    throw new CoPilotError('UNREACHABLE', 'the Data Bridge does not answer', { cause });
  });
}
