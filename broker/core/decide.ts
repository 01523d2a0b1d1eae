import { decideAccept } from './accept.ts';
import { admit } from './admission.ts';
import { decideBan, decideHello, decideRevoke } from './agent-start.ts';
import { decideCancel } from './cancel.ts';
import type { Command } from './command.ts';
import { decideAbort, decideDiscarded, decideFinalised, decideTold, decideVerified } from './commit.ts';
import { decideDrain } from './drain.ts';
import { decision, UNCHANGED } from './decision.ts';
import { decideEnrol, decideLapse } from './enrol.ts';
import { withoutSeen } from './holder.ts';
import { decideLease, decideRelease, decideRenew } from './lease.ts';
import { decideReport } from './report.ts';
import type { Decision, Rows } from './rows.ts';
import { decideExpire, decideGrace } from './sweep.ts';

/**
 * The lease machine. Pure and total: the same rows, command and ledger time (milliseconds) give the same decision, and no command
 * of an agent throws. `rows` are those that `gather` loads for the command.
 */
export function decide(rows: Rows, command: Command, nowMs: number): Decision {
  switch (command.kind) {
    case 'accept':
      return decideAccept(rows, command, nowMs);
    case 'enrol':
      return decideEnrol(rows, command);
    case 'lapse':
      return decideLapse(rows);
    case 'hello':
      return decideHello(rows, command, nowMs);
    case 'lease':
      return decideLease(rows, command, nowMs);
    case 'renew':
      return decideRenew(rows, command, nowMs);
    case 'report':
      return decideReport(rows, command, nowMs);
    case 'release':
      return decideRelease(rows, command, nowMs);
    case 'seen':
      return decideSeen(rows, command);
    case 'verified':
      return decideVerified(rows, command, nowMs);
    case 'abort':
      return decideAbort(rows, command);
    case 'finalised':
      return decideFinalised(rows, command, nowMs);
    case 'discarded':
      return decideDiscarded(rows, command, nowMs);
    case 'told':
      return decideTold(rows, command);
    case 'cancel':
      return decideCancel(rows, command, nowMs);
    case 'expire':
      return decideExpire(rows, command, nowMs);
    case 'grace':
      return decideGrace(rows, nowMs);
    case 'revoke':
      return decideRevoke(rows, command, nowMs);
    case 'drain':
      return decideDrain(rows, command);
    case 'ban':
      return decideBan(rows, command);
  }
}

function decideSeen(rows: Rows, command: Extract<Command, { kind: 'seen' }>): Decision {
  const admission = admit(rows, command.start);
  if (admission.kind === 'answer') return admission.decision;
  const agent = withoutSeen(admission.agent, command.seen);
  return agent === rows.agent ? UNCHANGED : decision(rows, { agent }, { kind: 'noted', agent }, []);
}
