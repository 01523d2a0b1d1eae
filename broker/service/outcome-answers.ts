import type { Outcome } from '../core/command.ts';
import type { SlotReply } from '../core/state.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import type * as types from '../../protocol/generated/types.ts';
import { type Caller, endsSession, farewellCode } from './agent-sessions.ts';
import { BUSY_SECONDS, type Desk, NO_WORK, type Turn } from './desk.ts';
import { verdictOf } from './verdict-of.ts';

/** How soon a draining agent that stays asks again: so long after the end of the drain it may be idle. */
const DRAINING_SECONDS = 30;

/** Answers a message that changed nothing: a repeat as before, a refusal by what it means. */
export async function answerOutcome(desk: Desk, caller: Caller, turn: Turn, outcome: Outcome): Promise<void> {
  if (outcome.kind === 'repeat')
    return answerRepeat(desk, caller, turn, outcome.reply, outcome.agent.verdicts);
  if (outcome.kind !== 'refused') throw new Error(`a ${turn.kind} had the outcome ${outcome.kind}`);
  if (endsSession(outcome.code)) {
    caller.dismiss(farewellCode(outcome.code));
    return;
  }
  if (outcome.code === 'STALE_COUNTER')
    throw new CoPilotError('STALE_COUNTER', 'the slot has taken a higher counter');
  const none = noWorkBy(outcome);
  if (none === undefined) throw notLive();
  const stored = await desk.ledger.agent(caller.agent);
  const { slot, counter } = turn;
  caller.send({ kind: 'none', slot, counter, none, verdicts: stored?.verdicts ?? [] });
}

/** Why there is no job for an agent that may not have one now; undefined where the refusal means something else. */
export function noWorkBy(outcome: Outcome): types.NoWork | undefined {
  if (outcome.kind !== 'refused') return undefined;
  if (outcome.code === 'COOLING_DOWN')
    return { reason: 'cooling-down', retryAfterSeconds: outcome.retryAfterMs / 1000 };
  if (outcome.code === 'DRAINING') return { reason: 'draining', retryAfterSeconds: DRAINING_SECONDS };
  if (outcome.code === 'TOO_MANY_ATTEMPTS')
    return { reason: 'too-many-attempts', retryAfterSeconds: BUSY_SECONDS };
  return undefined;
}

export function notLive(): CoPilotError {
  return new CoPilotError('ATTEMPT_NOT_LIVE', 'the attempt is not held by this agent, or not live any more');
}

/** The same message again gets the same answer, capabilities minted afresh; a verdict may be further on by now. */
async function answerRepeat(
  desk: Desk,
  caller: Caller,
  turn: Turn,
  reply: SlotReply,
  pending: types.Verdicts,
): Promise<void> {
  const { slot, counter } = turn;
  const { job, attempt } = reply;
  switch (reply.kind) {
    case 'released':
      caller.send({ kind: 'released', slot, counter, job, attempt, verdicts: pending });
      return;
    case 'leased': {
      const lease = await desk.answers.leaseAgain(caller, job, attempt);
      if (lease === undefined)
        throw new CoPilotError('ATTEMPT_NOT_LIVE', 'the attempt this message was answered with has ended');
      caller.send({ kind: 'job', slot, counter, lease, verdicts: pending });
      return;
    }
    case 'reported': {
      const next = reply.next && (await desk.answers.leaseAgain(caller, reply.next.job, reply.next.attempt));
      return answerReported(desk, caller, { slot, counter, job, attempt }, next ?? NO_WORK, pending);
    }
  }
}

/** What a report is answered with, as far as its attempt is by now. */
export async function answerReported(
  desk: Desk,
  caller: Caller,
  turn: Pick<types.Report, 'slot' | 'counter' | 'job' | 'attempt'>,
  next: types.Lease | types.NoWork,
  pending: types.Verdicts,
): Promise<void> {
  const { slot, counter, job, attempt } = turn;
  const stored = await desk.ledger.job(job);
  const said = verdictOf(stored?.job, attempt);
  caller.send({ kind: 'reported', slot, counter, job, attempt, ...said, next, verdicts: pending });
}
