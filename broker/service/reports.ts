import type { Command, Outcome } from '../core/command.ts';
import { fromBase64url } from '../../protocol/encoding.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import type * as types from '../../protocol/generated/types.ts';
import { reportEvidence } from '../../protocol/report-evidence.ts';
import type { Caller } from './agent-sessions.ts';
import { type Desk, NO_WORK } from './desk.ts';
import { beginAttempt, findJob, type Found } from './job-search.ts';
import { answerOutcome, answerReported, noWorkBy } from './outcome-answers.ts';
import type { Said } from './verdicts.ts';

type ReportCommand = Extract<Command, { kind: 'report' }>;

/** Takes a report, and in the same group of the ledger the wish for the next job; answers once the verdict is known or late. */
export async function onReport(desk: Desk, caller: Caller, message: types.Report): Promise<void> {
  // Storage looks while the signature is checked.
  const ahead = desk.verifier.ahead(caller.agent, message);
  checkEvidence(desk, caller, message);
  const verification = await ahead;
  const command = { ...reportCommand(desk, caller, message), ...(verification && { verification }) };
  let outcome: Outcome = { kind: 'unchanged' };
  let said: Promise<Said> | undefined;
  const onOutcome = (decided: Outcome): void => {
    outcome = decided;
    // Before anything else is awaited: the verdict may be there by then.
    if (decided.kind === 'reported')
      said = desk.verdicts.settled(decided.job, message.attempt, desk.configuration.verdictWaitMs);
    desk.follow(decided);
  };
  const found = await search(desk, caller, message, { command, onOutcome });
  if (said === undefined) return answerUnchanged(desk, caller, message, outcome, found);
  const [next, verdict] = await Promise.all([nextOf(desk, caller, found), said]);
  answer(caller, message, outcome, verdict, next);
}

/** Undefined where no next job was asked for. */
async function search(
  desk: Desk,
  caller: Caller,
  message: types.Report,
  report: { readonly command: ReportCommand; readonly onOutcome: (outcome: Outcome) => void },
): Promise<Found | undefined> {
  if (message.next !== undefined)
    return findJob(desk, { caller, turn: message, host: desk.classOf(message.next), report });
  const [outcome] = await desk.ledger.apply([report.command]);
  if (outcome !== undefined) report.onOutcome(outcome);
  return undefined;
}

/** A repeat whose first answer had no job may find one now: it is the same message's wish still. */
async function answerUnchanged(
  desk: Desk,
  caller: Caller,
  message: types.Report,
  outcome: Outcome,
  found: Found | undefined,
): Promise<void> {
  if (outcome.kind !== 'repeat' || found?.kind !== 'leased')
    return answerOutcome(desk, caller, message, outcome);
  const next = await beginAttempt(desk, caller, found.outcome);
  return answerReported(desk, caller, message, next, found.outcome.agent.verdicts);
}

function answer(
  caller: Caller,
  { slot, counter, job, attempt }: types.Report,
  outcome: Outcome,
  verdict: Said,
  next: types.Lease | types.NoWork | undefined,
): void {
  const known = 'agent' in outcome ? outcome.agent.verdicts : [];
  const verdicts = known.filter((pending) => pending.job !== job || pending.attempt !== attempt);
  caller.send({ kind: 'reported', slot, counter, job, attempt, ...verdict, ...(next && { next }), verdicts });
}

async function nextOf(
  desk: Desk,
  caller: Caller,
  found: Found | undefined,
): Promise<types.Lease | types.NoWork | undefined> {
  switch (found?.kind) {
    case undefined:
      return undefined;
    case 'leased':
      return beginAttempt(desk, caller, found.outcome);
    case 'answered':
      return noWorkBy(found.outcome) ?? NO_WORK;
    case 'none':
      return NO_WORK;
  }
}

function checkEvidence({ configuration, runtime }: Desk, caller: Caller, message: types.Report): void {
  const evidence = reportEvidence(configuration.installation, caller.agent, message);
  const signature = fromBase64url(message.signature);
  if (signature !== undefined && runtime.crypto.verify(caller.signingKey, evidence, signature)) return;
  throw new CoPilotError(
    'BAD_SIGNATURE',
    'the report is not signed by the key of the identity over what it says',
  );
}

function reportCommand(
  { configuration }: Desk,
  { agent, start }: Caller,
  message: types.Report,
): ReportCommand {
  const { slot, counter, job, attempt, exit, manifest, usage, logTail, signature, seen } = message;
  const said = { slot, counter, job, attempt, exit, manifest, usage, logTail, signature, seen };
  return { kind: 'report', agent, start, ...said, limits: configuration.limits };
}
