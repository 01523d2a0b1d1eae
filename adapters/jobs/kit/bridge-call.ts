import { type IncomingMessage, request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { BridgeAccess } from './bridge-access.ts';

export interface BridgeCall {
  readonly method: 'GET' | 'PUT';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly body?: Readable | Uint8Array;
}

const SILENT_MS = 60_000;

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
    if (call.body === undefined || call.body instanceof Uint8Array) asked.end(call.body);
    else pipeline(call.body, asked).catch(reject);
  }).catch((cause: unknown) => {
    throw new CoPilotError('UNREACHABLE', 'the Data Bridge does not answer', { cause });
  });
}
