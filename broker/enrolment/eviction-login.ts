import { signJws, verifyJws } from '../../protocol/jws.ts';
import type { PrivateKey, PublicKey, Runtime } from '../../protocol/runtime/runtime.ts';
import { CLOCK_TOLERANCE_SECONDS } from '../../protocol/tokens.ts';

const TYPE = 'copilot-eviction';
const LIFE_SECONDS = 30;

type Parts = Pick<Runtime, 'clock' | 'crypto'>;

/**
 * The password by which a broker, for half a minute, is an agent at the server's management: it may see and close that agent's
 * connections. Signed as identities are, so that every broker knows it, whichever the server asks.
 */
export function evictionPassword({ clock, crypto }: Parts, key: PrivateKey, agent: string): string {
  return signJws(crypto, key, TYPE, { agent, exp: Math.floor(clock.wallMs() / 1000) + LIFE_SECONDS });
}

/** Whether a broker of ours made the password for this agent a moment ago. */
export function isEvictionPassword(
  { clock, crypto }: Parts,
  key: PublicKey,
  agent: string,
  password: string,
): boolean {
  const claims = verifyJws(crypto, key, TYPE, password);
  if (typeof claims !== 'object' || claims === null || !('agent' in claims) || !('exp' in claims))
    return false;
  const { agent: named, exp } = claims;
  return named === agent && typeof exp === 'number' && clock.wallMs() / 1000 <= exp + CLOCK_TOLERANCE_SECONDS;
}
