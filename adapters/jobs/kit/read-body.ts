import type { IncomingMessage } from 'node:http';
import type { CoPilotError } from '../../../protocol/errors.ts';

/** The whole body of an answer. Rejects with what `tooLong` makes where it is over `maxBytes`, and as the connection does where it is cut short. */
export function readBody(
  answer: IncomingMessage,
  maxBytes: number,
  tooLong: () => CoPilotError,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    answer.on('data', (chunk: Uint8Array) => {
      bytes += chunk.length;
      if (bytes > maxBytes) answer.destroy(tooLong());
      else chunks.push(chunk);
    });
    answer.once('end', () => resolve(Buffer.concat(chunks)));
    answer.once('error', reject);
    answer.once('close', () => {
      if (!answer.readableEnded) reject(new Error('an answer was cut short'));
    });
  });
}
