import type { IncomingMessage } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { CoPilotError } from '../../../protocol/errors.ts';

/** What is still read of a body nobody wants, so that its sender hears why; beyond it the connection is cut. */
const MAX_DISCARDED_BYTES = 16 * 1024 * 1024;

/** Bytes of the body, which every upload states (`LENGTH_REQUIRED`). */
export function contentLength(request: FastifyRequest): number {
  const length = wholeNumber(request.headers['content-length']);
  if (length === undefined) throw new CoPilotError('LENGTH_REQUIRED', 'an upload states Content-Length');
  return length;
}

/** A number as header fields write it; undefined for anything else. */
export function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** A field that came once. */
export function single(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** Reads on, within a bound, so that the connection serves the next request. */
export function drain(request: IncomingMessage): void {
  if (request.readableEnded || request.destroyed) return;
  let left = MAX_DISCARDED_BYTES;
  request.on('data', (chunk: Uint8Array) => {
    left -= chunk.length;
    if (left < 0) request.destroy();
  });
  request.resume();
}
