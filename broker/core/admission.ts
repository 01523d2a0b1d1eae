import type { Refusal } from './command.ts';
import { refuse, without } from './decision.ts';
import type { Decision, Rows } from './rows.ts';
import { type AgentRow, MAX_SLOTS, type Slot, type SlotReply } from './state.ts';

/** Why an agent may not be served at all, whatever it asks. */
export function standing(rows: Rows): Refusal | undefined {
  if (rows.agent === undefined) return 'NOT_FOUND';
  if (rows.agent.status === 'revoked') return 'REVOKED';
  if (rows.agent.status === 'quarantined') return 'QUARANTINED';
  return rows.owner?.banned === true ? 'BANNED' : undefined;
}

interface Asked {
  readonly start: string;
  readonly slot: number;
  readonly counter: number;
}

/** Either the agent that may go on, or the answer that ends the matter. */
export type Admission =
  | { readonly kind: 'agent'; readonly agent: AgentRow }
  | { readonly kind: 'answer'; readonly decision: Decision };

/** Standing and start id of an agent command without counter. */
export function admit(rows: Rows, start: string): Admission {
  const refusal = standing(rows);
  if (refusal !== undefined) return answer(refuse(refusal));
  if (rows.agent === undefined) return answer(refuse('NOT_FOUND'));
  return rows.agent.start === start ? { kind: 'agent', agent: rows.agent } : answer(refuse('SUPERSEDED'));
}

/**
 * As `admit`, and the counter must rise within its slot; the counter answered last gets the same answer again.
 * `isNext` tells of a reply that the same message still completes: a report's answer carries the next lease under one counter.
 */
export function admitCounted(
  rows: Rows,
  asked: Asked,
  isNext: (reply: SlotReply) => boolean = () => false,
): Admission {
  const admission = admit(rows, asked.start);
  if (admission.kind === 'answer') return admission;
  if (!isCounter(asked)) return answer(refuse('STALE_COUNTER'));
  const { agent } = admission;
  const last = agent.slots[String(asked.slot)];
  if (last === undefined || asked.counter > last.counter) return admission;
  if (asked.counter < last.counter) return answer(refuse('STALE_COUNTER'));
  if (isNext(last.reply)) return admission;
  return answer(without({ kind: 'repeat', reply: last.reply, agent }));
}

/** The agent with what it was answered in the slot. */
export function answered(
  agent: AgentRow,
  { slot, counter }: Omit<Asked, 'start'>,
  reply: SlotReply,
): AgentRow {
  const stored: Slot = { counter, reply };
  return { ...agent, slots: { ...agent.slots, [String(slot)]: stored } };
}

function isCounter({ slot, counter }: Asked): boolean {
  return (
    Number.isSafeInteger(slot) &&
    slot >= 1 &&
    slot <= MAX_SLOTS &&
    Number.isSafeInteger(counter) &&
    counter >= 1
  );
}

function answer(decision: Decision): Admission {
  return { kind: 'answer', decision };
}
