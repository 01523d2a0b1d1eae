import { createDpopProof } from '../../protocol/dpop.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import type { Capability } from '../../protocol/generated/types.ts';
import type { Clock, Crypto, PrivateKey, Random } from '../../protocol/runtime/runtime.ts';
import { exchange, readRefusal } from './http-exchange.ts';
import type { ExchangeOptions, Incoming, Outgoing } from './http-exchange.ts';

export interface BearerOptions {
  readonly clock: Clock;
  readonly crypto: Crypto;
  /** The agent's Ed25519 key, which its capabilities are bound to. */
  readonly key: PrivateKey;
  readonly random: Random;
}

/** Asks storage in the agent's name: a capability with a fresh proof on every request, the last nonce of each storage kept. */
export interface Bearer {
  /**
   * The answer, where it is not a refusal; otherwise rejects with storage's code. `body` is called for each try, since a
   * first one may only fetch a nonce.
   */
  ask(capability: Capability, ask: Ask, options: ExchangeOptions): Promise<Incoming>;
  /** Whether a nonce is at hand, so that a body need not be sent twice. */
  knows(capability: Capability): boolean;
}

export interface Ask extends Pick<Outgoing, 'method' | 'headers'> {
  readonly body?: () => Outgoing['body'];
}

/** Storages whose nonces are kept. */
const MAX_ORIGINS = 64;

export function createBearer(options: BearerOptions): Bearer {
  const nonces = new Map<string, string>();
  const keep = (origin: string, nonce: string | undefined): void => {
    if (nonce === undefined) return;
    if (!nonces.has(origin) && nonces.size >= MAX_ORIGINS) nonces.clear();
    nonces.set(origin, nonce);
  };
  const tryOnce = async (capability: Capability, ask: Ask, limits: ExchangeOptions): Promise<Incoming> => {
    const { origin } = new URL(capability.url);
    const body = ask.body?.();
    const incoming = await exchange(
      {
        method: ask.method,
        url: capability.url,
        headers: { ...ask.headers, ...authorise(options, capability, ask.method, nonces.get(origin)) },
        ...(body === undefined ? {} : { body }),
      },
      limits,
    );
    keep(origin, incoming.header('dpop-nonce'));
    if (incoming.status < 300) return incoming;
    const { code, message } = await readRefusal(incoming);
    if (body !== undefined) incoming.cut();
    throw new CoPilotError(code, message);
  };
  return {
    knows: (capability) => nonces.has(new URL(capability.url).origin),
    async ask(capability, ask, limits) {
      try {
        return await tryOnce(capability, ask, limits);
      } catch (error) {
        if (!(error instanceof CoPilotError) || error.code !== 'DPOP_NONCE_REQUIRED') throw error;
        return tryOnce(capability, ask, limits);
      }
    },
  };
}

function authorise(
  options: BearerOptions,
  capability: Capability,
  method: string,
  nonce: string | undefined,
): Record<string, string> {
  const { token, url } = capability;
  const proof = { method, url, token, nonce, wallMs: options.clock.wallMs() };
  return {
    Authorization: `DPoP ${token}`,
    DPoP: createDpopProof(options.crypto, options.random, options.key, proof),
  };
}
