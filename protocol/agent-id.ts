import { idOf } from './encoding.ts';
import type { Crypto } from './runtime/runtime.ts';

/** An agent's id, from its raw Ed25519 key in base64url (docs/protocol.md, E-10): the same key is always the same agent. */
export function agentIdOf(crypto: Crypto, installation: string, sig: string): string {
  return idOf((data) => crypto.sha256(data), `co-pilot-agent-1\n${installation}\n${sig}`);
}
