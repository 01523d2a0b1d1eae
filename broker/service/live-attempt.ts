import type { StoredJob } from '../ledger/ledger.ts';
import type { Caller } from './agent-sessions.ts';
import type { Desk } from './desk.ts';
import { notLive } from './outcome-answers.ts';

/**
 * The job of an attempt that the caller holds live. Throws `ATTEMPT_NOT_LIVE` for any other; undefined where another start of the
 * agent has taken over, to which nothing more is said.
 */
export async function liveAttempt(
  desk: Desk,
  caller: Caller,
  { job, attempt }: { readonly job: string; readonly attempt: number },
): Promise<StoredJob | undefined> {
  // A deadline that no sweep has noticed yet is past all the same (L-4).
  const [expired] = await desk.ledger.apply([{ kind: 'expire', job, limits: desk.configuration.limits }]);
  if (expired !== undefined) desk.follow(expired);
  const [agent, stored] = await Promise.all([desk.ledger.agent(caller.agent), desk.ledger.job(job)]);
  if (agent?.start !== caller.start) {
    caller.dismiss('SUPERSEDED');
    return undefined;
  }
  const held = stored?.job.attempts.find((entry) => entry.number === attempt);
  if (held?.agent !== caller.agent || held.state !== 'live') throw notLive();
  return stored;
}
