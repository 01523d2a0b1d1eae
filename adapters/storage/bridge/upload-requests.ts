import type { FastifyReply, FastifyRequest } from 'fastify';
import { sha256OfField } from '../../../protocol/digest-field.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { CapabilityClaims } from './capability-token.ts';
import type { FaceParts } from './face-parts.ts';
import { contentLength, drain, single, wholeNumber } from './request-fields.ts';
import type { Declared, Uploads } from './uploads.ts';

const CHUNK_TYPE = 'application/offset+octet-stream';

/** What an agent asks of one file, its capability checked: PUT whole, PATCH a piece, HEAD how far it is. */
export async function serveUpload(
  parts: FaceParts,
  claims: CapabilityClaims,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const ref = { job: claims.job, attempt: claims.attempt };
  switch (request.method) {
    case 'HEAD': {
      const state = await parts.uploads.state(ref, claims.name);
      if (state === undefined) throw new CoPilotError('NOT_FOUND', 'the upload was not begun');
      return reply.header('Upload-Offset', state.offset).header('Upload-Length', state.length).send();
    }
    case 'PUT': {
      const length = contentLength(request);
      const declared = declare(claims, length, request);
      const outcome = await parts.uploads.put(declared, { stream: request.raw, length });
      drain(request.raw);
      parts.log.info({ ...ref, file: claims.name, bytes: length }, 'file taken in');
      return reply
        .code(outcome === 'created' ? 201 : 200)
        .header('Upload-Offset', length)
        .send();
    }
    default: {
      const state = await append(parts, claims, request);
      if (state.offset === state.length)
        parts.log.info({ ...ref, file: claims.name, bytes: state.length }, 'file taken in');
      return reply
        .code(204)
        .header('Upload-Offset', state.offset)
        .header('Upload-Length', state.length)
        .send();
    }
  }
}

function append(
  parts: FaceParts,
  claims: CapabilityClaims,
  request: FastifyRequest,
): ReturnType<Uploads['append']> {
  if (request.headers['content-type'] !== CHUNK_TYPE)
    throw new CoPilotError('MALFORMED_REQUEST', `a piece has Content-Type: ${CHUNK_TYPE}`);
  const length = contentLength(request);
  const size = wholeNumber(single(request.headers['upload-length']));
  const offset = wholeNumber(single(request.headers['upload-offset']));
  if (size === undefined || offset === undefined)
    throw new CoPilotError('LENGTH_REQUIRED', 'a piece states Upload-Length and Upload-Offset');
  return parts.uploads.append(declare(claims, size, request), {
    offset,
    body: { stream: request.raw, length },
    contentDigest: contentDigest(request),
  });
}

/** What the sender promises of the file, held against what its capability pins before any byte lands. */
function declare(claims: CapabilityClaims, size: number, request: FastifyRequest): Declared {
  const stated = wholeNumber(single(request.headers['upload-length'])) ?? size;
  if (stated !== size) throw new CoPilotError('MALFORMED_REQUEST', 'Upload-Length is not Content-Length');
  const sha256 = sha256OfField(single(request.headers['repr-digest']) ?? '');
  if (sha256 === undefined)
    throw new CoPilotError('MALFORMED_REQUEST', 'an upload states Repr-Digest with one sha-256');
  if (claims.sha256 !== undefined && claims.sha256 !== sha256)
    throw new CoPilotError('DIGEST_MISMATCH', 'the capability is for other bytes');
  const { job, attempt, name, max, total } = claims;
  return { ref: { job, attempt }, name, size, sha256, allowance: { max, total } };
}

function contentDigest(request: FastifyRequest): string | undefined {
  const field = single(request.headers['content-digest']);
  if (field === undefined) return undefined;
  const sha256 = sha256OfField(field);
  if (sha256 === undefined)
    throw new CoPilotError('MALFORMED_REQUEST', 'Content-Digest holds one sha-256, where there is one');
  return sha256;
}
