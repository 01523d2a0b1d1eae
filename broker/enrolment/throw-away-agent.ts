import { agentIdOf } from '../../protocol/agent-id.ts';
import { base64url } from '../../protocol/encoding.ts';
import type { PrivateKey, Runtime } from '../../protocol/runtime/runtime.ts';
import { signIdentity } from '../../protocol/tokens.ts';

const LIFE_SECONDS = 120;

/** Login of an agent that nobody is: its keys are forgotten here, so that it opens the bus for two minutes and no session. */
export function throwAwayAgent(
  { crypto, clock }: Pick<Runtime, 'crypto' | 'clock'>,
  installation: string,
  identityKey: PrivateKey,
): { readonly user: string; readonly password: string } {
  const sig = base64url(crypto.generate('ed25519').publicKey.raw);
  const user = agentIdOf(crypto, installation, sig);
  const iat = Math.floor(clock.wallMs() / 1000);
  const password = signIdentity(crypto, identityKey, {
    iss: installation,
    sub: user,
    owner: 'co-pilot',
    site: 'bus-check',
    tier: 'untrusted',
    sig,
    kex: base64url(crypto.generate('x25519').publicKey.raw),
    iat,
    exp: iat + LIFE_SECONDS,
  });
  return { user, password };
}
