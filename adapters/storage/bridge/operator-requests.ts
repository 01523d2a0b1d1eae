import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { ExtraDigests } from './digests.ts';
import type { FaceParts } from './face-parts.ts';
import { putInput } from './inputs.ts';
import { contentLength, drain } from './request-fields.ts';
import { sendFile, sendInput } from './send-file.ts';
import type { Target } from './target.ts';

/** What the trusted side asks, its token checked: inputs in, inputs and results out. */
export async function serveOperator(
  parts: FaceParts,
  target: Target,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  if (target.kind === 'input' && request.method === 'PUT') {
    const length = contentLength(request);
    const body = { stream: request.raw, length };
    const outcome = await putInput(parts, target.sha256, body, parts.stopping);
    drain(request.raw);
    return reply.code(outcome === 'created' ? 201 : 200).send();
  }
  if (!isRead || target.kind === 'upload') throw new CoPilotError('NOT_FOUND', 'no such method');
  if (target.kind === 'input') return sendInput(parts, target.sha256, 'operator', request, reply);
  return sendResult(parts, target, request, reply);
}

/** Only what is registered as its job's result is shown: anything else may still turn out to be junk. */
async function sendResult(
  parts: FaceParts,
  target: Extract<Target, { kind: 'result' | 'manifest' }>,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { tables } = parts.registry;
  const ref = { job: target.job, attempt: target.attempt };
  if (tables.result(ref.job) !== ref.attempt) throw new CoPilotError('NOT_FOUND', 'no such result');
  if (target.kind === 'manifest') {
    const files = tables
      .files(ref)
      .map(({ name, size, sha256, digests }) => ({ name, size, sha256, ...digests }));
    return reply.send({ ...ref, files });
  }
  const file = tables.file(ref, target.name);
  if (file === undefined) throw new CoPilotError('NOT_FOUND', 'the result has no such file');
  const keepDigests = (digests: ExtraDigests): Promise<void> =>
    parts.registry.write((changed) => changed.setFileDigests(ref, file.name, digests));
  return sendFile(parts, { ...file, path: parts.places.file(ref, file.name), keepDigests }, request, reply);
}

/** Compares digests, whose length says nothing of the token's. */
export function requireOperator(parts: FaceParts, token: string): void {
  const digest = createHash('sha256').update(token).digest();
  if (!timingSafeEqual(digest, parts.operatorDigest))
    throw new CoPilotError('NOT_AUTHORIZED', 'the token is not the operator’s');
}
