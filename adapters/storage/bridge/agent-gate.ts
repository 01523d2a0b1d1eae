import { judgeDpopProof } from '../../../protocol/dpop.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { Clock, Crypto } from '../../../protocol/runtime/runtime.ts';
import { openCapability } from './capability-token.ts';
import type { CapabilityClaims } from './capability-token.ts';
import type { Freshness } from './freshness.ts';
import type { Registry } from './registry.ts';
import type { Target } from './target.ts';

export interface GateParts {
  readonly clock: Clock;
  readonly crypto: Crypto;
  readonly freshness: Freshness;
  readonly registry: Registry;
  readonly tokenKey: Uint8Array;
}

/** A request as the gate looks at it; `url` is its public URL without query. */
export interface AgentRequest {
  readonly method: string;
  readonly url: string;
  readonly target: Target;
  readonly authorization: string;
  readonly proof: string | undefined;
}

const SCHEME = /^DPoP ([!-~]{1,2048})$/i;

/**
 * The claims of the capability an agent's request comes with, after everything that could be wrong with it was looked at:
 * token, time, proof, key, nonce, replay, verb, place, and whether the attempt still moves files. Each refusal has a code
 * of its own, and the cheap checks come first.
 */
export function admitAgent(parts: GateParts, request: AgentRequest): CapabilityClaims {
  const token = SCHEME.exec(request.authorization)?.[1];
  if (token === undefined)
    throw new CoPilotError('NOT_AUTHORIZED', 'bring a capability: Authorization: DPoP');
  const claims = openCapability(parts.crypto, parts.tokenKey, token);
  if (claims === undefined) throw new CoPilotError('CAPABILITY_INVALID', 'the capability was not made here');
  if (parts.clock.wallMs() >= claims.exp * 1000)
    throw new CoPilotError('CAPABILITY_EXPIRED', 'the capability has ended: ask the broker for another');
  requireProof(parts, request, token, claims);
  requirePlace(request, claims);
  const state = parts.registry.tables.state(claims);
  if (state !== 'open') throw new CoPilotError('ATTEMPT_CLOSED', 'the attempt moves no more files');
  return claims;
}

function requireProof(
  parts: GateParts,
  request: AgentRequest,
  token: string,
  claims: CapabilityClaims,
): void {
  if (request.proof === undefined) throw nonceRequired();
  const judged = judgeDpopProof(parts.crypto, request.proof, {
    method: request.method,
    url: request.url,
    token,
    freshness: { kind: 'nonce', accepts: (nonce) => parts.freshness.accepts(nonce) },
  });
  if (judged.kind === 'invalid')
    throw new CoPilotError('DPOP_INVALID', `the proof does not hold: ${judged.reason}`);
  if (judged.kind === 'stale' || judged.nonce === undefined) throw nonceRequired();
  if (judged.jkt !== claims.cnf.jkt)
    throw new CoPilotError('CAPABILITY_WRONG_KEY', 'the capability belongs to another key');
  const spent = parts.freshness.spend(judged.nonce, `${judged.jkt} ${judged.id}`);
  if (spent === 'stale') throw nonceRequired();
  if (spent === 'replayed') throw new CoPilotError('DPOP_REPLAYED', 'the proof was used before');
}

function requirePlace(request: AgentRequest, claims: CapabilityClaims): void {
  const { method, target } = request;
  const isRead = method === 'GET' || (method === 'HEAD' && target.kind === 'input');
  if (claims.verb !== (isRead ? 'get' : 'put'))
    throw new CoPilotError('CAPABILITY_WRONG_VERB', `the capability is for ${claims.verb} only`);
  switch (target.kind) {
    case 'input':
      if (claims.verb !== 'get')
        throw new CoPilotError('CAPABILITY_WRONG_VERB', 'inputs are read with a get capability');
      if (claims.sha256 !== target.sha256) throw wrongFile();
      return;
    case 'upload':
      if (claims.verb !== 'put') throw new CoPilotError('CAPABILITY_WRONG_VERB', 'uploads are not read back');
      if (claims.job !== target.job || claims.attempt !== target.attempt)
        throw new CoPilotError('CAPABILITY_WRONG_ATTEMPT', 'the capability is for another attempt');
      if (claims.name !== target.name) throw wrongFile();
      return;
    case 'result':
    case 'manifest':
      throw new CoPilotError('NOT_AUTHORIZED', 'results are for the trusted side');
  }
}

function wrongFile(): CoPilotError {
  return new CoPilotError('CAPABILITY_WRONG_FILE', 'the capability is for another file');
}

function nonceRequired(): CoPilotError {
  return new CoPilotError('DPOP_NONCE_REQUIRED', 'make a proof with the nonce of this answer');
}
