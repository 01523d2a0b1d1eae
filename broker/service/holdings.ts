import type { Command, Outcome } from '../core/command.ts';
import type * as types from '../../protocol/generated/types.ts';
import { type Caller, endsSession, farewellCode } from './agent-sessions.ts';
import type { Desk } from './desk.ts';
import { parseDescription } from './description.ts';
import { wantedFiles } from './lease-answer.ts';
import { liveAttempt } from './live-attempt.ts';
import { answerOutcome } from './outcome-answers.ts';

/** What an agent says of attempts it holds: that they live, that it needs capabilities for them, that it gives one back. */
export async function onRenew(desk: Desk, caller: Caller, message: types.Renew): Promise<void> {
  const { ledger } = desk;
  const renewals = message.leases.map((lease) => renewCommand(caller, lease));
  const outcomes = await ledger.apply([
    ...renewals,
    { kind: 'seen', agent: caller.agent, start: caller.start, seen: message.seen },
  ]);
  const last = outcomes.find((outcome) => outcome.kind === 'refused' && endsSession(outcome.code));
  if (last?.kind === 'refused') {
    caller.dismiss(farewellCode(last.code));
    return;
  }
  for (const [index, { job, attempt, progress }] of message.leases.entries()) {
    const outcome = outcomes[index];
    if (outcome?.kind === 'renewed' && outcome.order !== 'cancel')
      desk.tell(outcome.job, { op: 'renewed', job, attempt, progress });
  }
  const leases = message.leases.map(({ job, attempt }, index) => ({
    job,
    attempt,
    ...orderOf(outcomes[index]),
  }));
  const noted = outcomes.at(-1);
  const agent = noted?.kind === 'noted' ? noted.agent : await ledger.agent(caller.agent);
  const { slot, counter } = message;
  caller.send({ kind: 'renewed', slot, counter, leases, verdicts: agent?.verdicts ?? [] });
}

function renewCommand({ agent, start }: Caller, lease: types.Renew['leases'][number]): Command {
  const { job, attempt, progress, usage = null, logTail = '' } = lease;
  return { kind: 'renew', agent, start, job, attempt, progress, usage, logTail };
}

/** Whatever is not renewed is not the agent's any more: it ends it. */
function orderOf(outcome: Outcome | undefined): {
  readonly order: 'continue' | 'cancel' | 'drain';
  readonly leaseSeconds: number;
} {
  return outcome?.kind === 'renewed'
    ? { order: outcome.order, leaseSeconds: outcome.leaseMs / 1000 }
    : { order: 'cancel', leaseSeconds: 0 };
}

/** Mints capabilities again, or for files that were not declared. */
export async function onOutputs(desk: Desk, caller: Caller, message: types.Outputs): Promise<void> {
  const { slot, counter, job, attempt } = message;
  const stored = await liveAttempt(desk, caller, message);
  if (stored === undefined) return;
  const wanted = wantedFiles(parseDescription(stored.description), message.verb, message.files);
  const capabilities = await desk.answers.mint(caller, stored.job, attempt, wanted);
  caller.send({ kind: 'capabilities', slot, counter, job, attempt, capabilities, verdicts: [] });
}

export async function onRelease(desk: Desk, caller: Caller, message: types.Release): Promise<void> {
  const { slot, counter, job, attempt, reason } = message;
  const { agent, start } = caller;
  const [outcome] = await desk.ledger.apply([
    { kind: 'release', agent, start, slot, counter, job, attempt, reason },
  ]);
  if (outcome?.kind !== 'released')
    return answerOutcome(desk, caller, message, outcome ?? { kind: 'unchanged' });
  desk.follow(outcome);
  caller.send({ kind: 'released', slot, counter, job, attempt, verdicts: outcome.agent.verdicts });
}
