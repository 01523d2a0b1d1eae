import type { FastifyReply, FastifyRequest } from 'fastify';
import { CoPilotError } from '../../../protocol/errors.ts';
import { reprDigest, wantedDigests } from './digest-wishes.ts';
import { type ExtraAlgorithm, type ExtraDigests, startDigests } from './digests.ts';
import type { FaceParts } from './face-parts.ts';
import { type ByteRange, parseRange } from './range.ts';
import { single } from './request-fields.ts';

/** A file that may be read, and what its reader may have computed of it. */
export interface SentFile {
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
  readonly digests: ExtraDigests;
  /** Keeps digests that were computed on request; undefined for a reader who only gets what is known. */
  readonly keepDigests: ((digests: ExtraDigests) => Promise<void>) | undefined;
}

export type Reader = 'agent' | 'operator';

export function sendInput(
  parts: FaceParts,
  sha256: string,
  reader: Reader,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const input = parts.registry.tables.input(sha256);
  if (input === undefined) throw new CoPilotError('NOT_FOUND', 'no such input');
  const keepDigests = (digests: ExtraDigests): Promise<void> =>
    parts.registry.write((tables) => tables.setInputDigests(sha256, digests));
  const path = parts.places.input(sha256);
  const file = { ...input, sha256, path, keepDigests: reader === 'operator' ? keepDigests : undefined };
  return sendFile(parts, file, request, reply);
}

/** Answers with a file or the part of it that was asked for; immutable, so its digest is its tag. */
export async function sendFile(
  parts: FaceParts,
  file: SentFile,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const tag = `"${file.sha256}"`;
  const range = rangeOf(request, reply, file.size, tag);
  if (parts.downloads.count >= parts.limits.downloads)
    throw new CoPilotError('STORAGE_BUSY', 'too many downloads');
  parts.downloads.count++;
  reply.raw.once('close', () => parts.downloads.count--);
  const wanted = wantedDigests(single(request.headers['want-repr-digest']));
  const digests = await digestsOf(parts, file, wanted);
  const { start, end } = range ?? { start: 0, end: file.size };
  reply
    .code(range === undefined ? 200 : 206)
    .header('Accept-Ranges', 'bytes')
    .header('Content-Length', end - start)
    .header('Content-Type', 'application/octet-stream')
    .header('ETag', tag)
    .header('Repr-Digest', reprDigest(file.sha256, digests, wanted))
    .header('X-Content-Type-Options', 'nosniff');
  if (request.method === 'HEAD') return reply.send();
  reply.raw.once('finish', () => parts.meter.add('copilot_bridge_sent_bytes_total', undefined, end - start));
  return reply.send(parts.disk.read(file.path, start, end));
}

/** A range is for GET alone (RFC 9110 section 14.2), and only where `If-Range`, if any, names these very bytes (section 13.1.5). */
function rangeOf(
  request: FastifyRequest,
  reply: FastifyReply,
  size: number,
  tag: string,
): ByteRange | undefined {
  const condition = single(request.headers['if-range']);
  if (request.method !== 'GET' || (condition !== undefined && condition !== tag)) return undefined;
  reply.header('Content-Range', `bytes */${size}`);
  const range = parseRange(request.headers.range, size);
  if (range === undefined) reply.removeHeader('Content-Range');
  else reply.header('Content-Range', `bytes ${range.start}-${range.end - 1}/${size}`);
  return range;
}

/** What is known; computed in one reading and kept where the trusted side wants more. */
async function digestsOf(
  parts: FaceParts,
  file: SentFile,
  wanted: readonly ExtraAlgorithm[],
): Promise<ExtraDigests> {
  const missing = wanted.filter((algorithm) => file.digests[algorithm] === undefined);
  if (missing.length === 0 || file.keepDigests === undefined) return file.digests;
  const hash = startDigests(missing);
  const bytes: AsyncIterable<Uint8Array> = parts.disk.read(file.path, 0, file.size);
  for await (const chunk of bytes) {
    if (parts.stopping.aborted) throw new CoPilotError('UNREACHABLE', 'the bridge stops');
    hash.update(chunk);
  }
  if (hash.sha256() !== file.sha256)
    throw new CoPilotError('STORAGE_CORRUPT', 'the bytes on disk are not those that were taken in');
  const digests = { ...file.digests, ...hash.extra() };
  await file.keepDigests(digests);
  return digests;
}
