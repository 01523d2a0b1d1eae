import type { HostClass } from '../matching/host-class.ts';
import type * as types from '../../protocol/generated/types.ts';
import type { Caller } from './agent-sessions.ts';
import { BUSY_SECONDS, type Desk, slotKey } from './desk.ts';
import { beginAttempt, findJob } from './job-search.ts';
import { answerOutcome } from './outcome-answers.ts';

/** A request, and until when it may wait for work. */
interface Waiter {
  readonly caller: Caller;
  readonly message: types.Request;
  readonly host: HostClass;
  readonly expiresMs: number;
}

/** Answers a request with a lease, now or when work comes; or that there is none (docs/protocol.md, M). */
export async function onRequest(desk: Desk, caller: Caller, message: types.Request): Promise<void> {
  const { jobs, ledger, runtime, configuration } = desk;
  jobs.unpark(slotKey(caller, message));
  const host = desk.classOf(message.ad);
  if (message.seen.length > 0)
    await ledger.apply([{ kind: 'seen', agent: caller.agent, start: caller.start, seen: message.seen }]);
  await serve(desk, { caller, message, host, expiresMs: runtime.clock.monotonicMs() + configuration.parkMs });
}

async function serve(desk: Desk, waiter: Waiter): Promise<void> {
  const { caller, message, host } = waiter;
  const { slot, counter } = message;
  if (caller.isGone()) return;
  const found = await findJob(desk, { caller, turn: message, host });
  switch (found.kind) {
    case 'leased': {
      const lease = await beginAttempt(desk, caller, found.outcome);
      caller.send({ kind: 'job', slot, counter, lease, verdicts: found.outcome.agent.verdicts });
      return;
    }
    case 'answered':
      return answerOutcome(desk, caller, message, found.outcome);
    case 'none':
      // One that came while the ledger was asked woke nobody: nobody was parked yet.
      if (desk.jobs.has(host)) return serve(desk, waiter);
      park(desk, waiter);
  }
}

function park(desk: Desk, waiter: Waiter): void {
  const { caller, message, host, expiresMs } = waiter;
  // It went while the ledger was asked: what is parked now nobody would take away.
  if (caller.isGone()) return;
  if (desk.runtime.clock.monotonicMs() >= expiresMs) return none(waiter, 'no-work', 0);
  const isParked = desk.jobs.park({
    key: slotKey(caller, message),
    counter: message.counter,
    holder: caller,
    host,
    expiresMs,
    wake: () => void serve(desk, waiter).catch((caught: unknown) => onFault(desk, waiter, caught)),
    expire: () => none(waiter, 'no-work', 0),
  });
  if (isParked) desk.hunger();
  else none(waiter, 'busy', BUSY_SECONDS);
}

function onFault(desk: Desk, waiter: Waiter, caught: unknown): void {
  desk.runtime.log.error({ agent: waiter.caller.agent, err: caught }, 'a parked request failed');
  none(waiter, 'busy', BUSY_SECONDS);
}

function none({ caller, message }: Waiter, reason: types.NoWork['reason'], retryAfterSeconds: number): void {
  const { slot, counter } = message;
  caller.send({ kind: 'none', slot, counter, none: { reason, retryAfterSeconds }, verdicts: [] });
}
