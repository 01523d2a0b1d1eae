import { CoPilotError } from '../../protocol/errors.ts';
import type { AgentMessage } from '../../protocol/messages.ts';
import type { Caller } from './agent-sessions.ts';
import { createDesk, type Desk, type DeskOptions, slotKey } from './desk.ts';
import { onCall, onParts } from './payload-calls.ts';
import { onOutputs, onRelease, onRenew } from './holdings.ts';
import { onReport } from './reports.ts';
import { onRequest } from './requests.ts';

/** Answers everything an agent says after the handshake (docs/protocol.md, M). */
export function createAgentMessages(
  options: DeskOptions,
): (caller: Caller, message: AgentMessage) => Promise<void> {
  const desk = createDesk(options);
  /** Slots with a message being answered. */
  const inProgress = new Map<string, number>();

  return async (caller, message) => {
    checkSlot(message);
    const key = slotKey(caller, message);
    const { counter } = message;
    // A repeat of what is being answered, or one that a newer message has overtaken on the bus.
    const newest = Math.max(inProgress.get(key) ?? 0, desk.jobs.parkedCounter(key) ?? 0);
    if (inProgress.get(key) === counter || newest > counter) return;
    inProgress.set(key, counter);
    try {
      await dispatch(desk, caller, message);
    } finally {
      if (inProgress.get(key) === counter) inProgress.delete(key);
    }
  };
}

async function dispatch(desk: Desk, caller: Caller, message: AgentMessage): Promise<void> {
  switch (message.kind) {
    case 'request':
      return onRequest(desk, caller, message);
    case 'renew':
      return onRenew(desk, caller, message);
    case 'outputs':
      return onOutputs(desk, caller, message);
    case 'report':
      return onReport(desk, caller, message);
    case 'release':
      return onRelease(desk, caller, message);
    case 'call':
      return onCall(desk, caller, message);
    case 'parts':
      return onParts(desk, caller, message);
  }
}

/** Slot 0 renews, the others do everything else: so that a renewal never waits behind a parked request. */
function checkSlot(message: AgentMessage): void {
  if ((message.slot === 0) === (message.kind === 'renew')) return;
  throw new CoPilotError('MALFORMED_MESSAGE', 'slot 0 is for renew, and renew for slot 0');
}
