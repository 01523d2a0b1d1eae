import { type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CoPilotError } from '../../../../protocol/errors.ts';
import type { BridgeAccess } from './intake-configuration.ts';

/** Where inputs go before the jobs that name them. */
export interface InputStore {
  /** Resolves once the input is there under its digest. Rejects with `DIGEST_MISMATCH`, `INVALID_REQUEST` or `UNREACHABLE`. */
  put(sha256: string, size: number, body: Readable): Promise<void>;
}

const ANSWER_MS = 60_000;

export function createInputStore({ url, token }: BridgeAccess): InputStore {
  const request = url.startsWith('https:') ? httpsRequest : httpRequest;
  return {
    async put(sha256, size, body) {
      const answer = await new Promise<IncomingMessage>((resolve, reject) => {
        const call = request(`${url}/v1/inputs/${sha256}`, {
          method: 'PUT',
          headers: { authorization: `Bearer ${token}`, 'content-length': size },
          timeout: ANSWER_MS,
        });
        call.once('response', resolve);
        call.once('timeout', () => call.destroy(new Error('no answer in time')));
        call.once('error', reject);
        pipeline(body, call).catch(reject);
      }).catch((cause: unknown) => {
        throw new CoPilotError('UNREACHABLE', 'the bridge does not take the input', { cause });
      });
      answer.resume();
      const status = answer.statusCode ?? 500;
      if (status < 300) return;
      // What the bridge says is about its own request, not about the caller's: its code is enough to know.
      if (status === 400)
        throw new CoPilotError('DIGEST_MISMATCH', 'the bytes are not what the digest names');
      throw new CoPilotError('UNREACHABLE', `the bridge refused the input with ${status}`);
    },
  };
}
