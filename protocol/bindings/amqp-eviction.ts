import { CoPilotError } from '../errors.ts';
import type { Credential } from './amqp-connect.ts';

const WITHIN_MS = 5_000;
const MAX_LISTED = 1_000;
/** By what the server itself knows: its statistics learn of a connection 5 s late, and may be switched off. */
const BY_THE_SERVER = 'disable_stats=true';

/**
 * Closes every connection of a user, by the server's management at `url` and in the user's own name: it may see and close its own
 * connections and nothing else. Answers how many there were. Rejects with `NOT_AUTHORIZED` or `UNREACHABLE`.
 */
export async function closeConnections(url: string, credential: Credential): Promise<number> {
  const listed = await ask(url, 'GET', `/api/connections?${BY_THE_SERVER}&columns=name`, credential);
  const names = namesIn(await listed.json());
  for (const name of names)
    await ask(url, 'DELETE', `/api/connections/${encodeURIComponent(name)}?${BY_THE_SERVER}`, credential);
  return names.length;
}

async function ask(
  url: string,
  method: 'GET' | 'DELETE',
  path: string,
  { user, password }: Credential,
): Promise<Response> {
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const signal = AbortSignal.timeout(WITHIN_MS);
  const headers = { authorization, 'x-reason': 'the broker serves this agent no more' };
  const answer = await fetch(`${url}${path}`, { method, headers, signal, redirect: 'error' }).catch(
    (cause: unknown) => {
      throw new CoPilotError('UNREACHABLE', `the management of the bus at ${url} does not answer`, { cause });
    },
  );
  // It ended by itself meanwhile.
  const isGone = method === 'DELETE' && answer.status === 404;
  if (answer.ok || isGone) return answer;
  await answer.body?.cancel();
  if (answer.status === 401 || answer.status === 403)
    throw new CoPilotError(
      'NOT_AUTHORIZED',
      `the management of the bus refused ${method} with ${answer.status}`,
    );
  throw new CoPilotError('UNREACHABLE', `the management of the bus answered ${method} with ${answer.status}`);
}

function namesIn(listed: unknown): readonly string[] {
  if (!Array.isArray(listed)) return [];
  const names = listed.flatMap((entry: unknown) =>
    typeof entry === 'object' && entry !== null && 'name' in entry && typeof entry.name === 'string'
      ? [entry.name]
      : [],
  );
  return names.slice(0, MAX_LISTED);
}
