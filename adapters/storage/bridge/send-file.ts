import type { FastifyReply, FastifyRequest } from 'fastify';
import { digestField } from '../../../protocol/digest-field.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { FaceParts } from './face-parts.ts';
import { parseRange } from './range.ts';

export function sendInput(
  parts: FaceParts,
  sha256: string,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const size = parts.registry.tables.input(sha256);
  if (size === undefined) throw new CoPilotError('NOT_FOUND', 'no such input');
  return sendFile(parts, { size, sha256, path: parts.places.input(sha256) }, request, reply);
}

export interface SentFile {
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
}

/** Answers with a file or the part of it that was asked for; immutable, so its digest is its tag. */
export function sendFile(
  parts: FaceParts,
  file: SentFile,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const range = parseRange(request.headers.range, file.size);
  const { start, end } = range ?? { start: 0, end: file.size };
  reply
    .code(range === undefined ? 200 : 206)
    .header('Accept-Ranges', 'bytes')
    .header('Content-Length', end - start)
    .header('Content-Type', 'application/octet-stream')
    .header('ETag', `"${file.sha256}"`)
    .header('Repr-Digest', digestField(file.sha256))
    .header('X-Content-Type-Options', 'nosniff');
  if (range !== undefined) reply.header('Content-Range', `bytes ${start}-${end - 1}/${file.size}`);
  if (request.method === 'HEAD') return reply.send();
  if (parts.downloads.count >= parts.limits.downloads)
    throw new CoPilotError('STORAGE_BUSY', 'too many downloads');
  parts.downloads.count++;
  reply.raw.once('close', () => parts.downloads.count--);
  return reply.send(parts.disk.read(file.path, start, end));
}
