import type { Command, Outcome } from '../core/command.ts';
import type { HostClass } from '../matching/host-class.ts';
import type { Waiting } from '../matching/waiting.ts';
import type { Lease } from '../../protocol/generated/types.ts';
import type { Clock } from '../../protocol/runtime/runtime.ts';
import type { Caller } from './agent-sessions.ts';
import type { Desk, Turn } from './desk.ts';
import { parseDescription } from './description.ts';

type LeaseCommand = Extract<Command, { kind: 'lease' }>;
type Leased = Extract<Outcome, { kind: 'leased' }>;
type ReportCommand = Extract<Command, { kind: 'report' }>;

/** What became of looking for a job. */
export type Found =
  | { readonly kind: 'leased'; readonly outcome: Leased }
  | { readonly kind: 'none' }
  | { readonly kind: 'answered'; readonly outcome: Exclude<Outcome, { kind: 'leased' }> };

/** Who asks, in which turn, on what machine; a report may come with the wish, and is decided upon first. */
export interface Wish {
  readonly caller: Caller;
  readonly turn: Turn;
  readonly host: HostClass;
  readonly report?: { readonly command: ReportCommand; readonly onOutcome: (outcome: Outcome) => void };
}

/** Stale candidates are few: the pool follows every outcome. */
const MAX_CANDIDATES = 1024;

/** Takes candidates until the ledger leases one. A report of the same message shares the first group, hence its sync. */
export async function findJob(desk: Desk, wish: Wish): Promise<Found> {
  const found = await search(desk, wish);
  const { agent, identity } = wish.caller;
  desk.seen?.asked({ agent, owner: identity.owner, host: wish.host, answer: answerIn(found) });
  return found;
}

function answerIn(found: Found): string {
  if (found.kind !== 'answered') return found.kind;
  return found.outcome.kind === 'refused' ? found.outcome.code : found.outcome.kind;
}

async function search(desk: Desk, wish: Wish): Promise<Found> {
  let { report } = wish;
  for (let tries = 0; tries < MAX_CANDIDATES; tries += 1) {
    const candidate = desk.jobs.take(wish.host);
    // Without a candidate the ledger still says whether this is a repeat, or may not ask.
    const lease = leaseCommand(desk, wish, candidate);
    const outcomes = await applyOrPutBack(
      desk,
      report === undefined ? [lease] : [report.command, lease],
      candidate,
    );
    if (report !== undefined && outcomes[0] !== undefined) report.onOutcome(outcomes[0]);
    report = undefined;
    const outcome = outcomes.at(-1);
    if (outcome === undefined || outcome.kind === 'unchanged') return { kind: 'none' };
    if (outcome.kind === 'leased') {
      desk.follow(outcome);
      return { kind: 'leased', outcome };
    }
    if (candidate !== undefined && isGone(outcome)) {
      desk.jobs.refund(candidate);
      continue;
    }
    if (candidate !== undefined) desk.jobs.putBack(candidate);
    return { kind: 'answered', outcome };
  }
  return { kind: 'none' };
}

/** The lease as it travels; the framework hears that an attempt began, once and without waiting. */
export async function beginAttempt(
  desk: Desk,
  caller: Caller,
  { job, attempt, description }: Leased,
): Promise<Lease> {
  // The step that a report waits for goes first: a grant takes a signature here and its check at the storage adapter.
  await endOfTurn(desk.runtime.clock);
  desk.tell(job, { op: 'started', job: job.id, attempt, agent: caller.agent });
  return desk.answers.lease(caller, job, attempt, parseDescription(description));
}

function endOfTurn(clock: Clock): Promise<void> {
  return new Promise((resolve) => clock.schedule(0, resolve));
}

function isGone(outcome: Outcome): boolean {
  return outcome.kind === 'refused' && (outcome.code === 'NOT_QUEUED' || outcome.code === 'NOT_FOUND');
}

async function applyOrPutBack(
  desk: Desk,
  commands: readonly Command[],
  candidate: Waiting | undefined,
): Promise<readonly Outcome[]> {
  try {
    return await desk.ledger.apply(commands);
  } catch (caught) {
    if (candidate !== undefined) desk.jobs.putBack(candidate);
    throw caught;
  }
}

function leaseCommand(desk: Desk, { caller, turn }: Wish, candidate: Waiting | undefined): LeaseCommand {
  const { leaseMs, firstRenewMs } = desk.queues.get(candidate?.queue ?? '') ?? {
    leaseMs: 0,
    firstRenewMs: 0,
  };
  return {
    kind: 'lease',
    agent: caller.agent,
    start: caller.start,
    slot: turn.slot,
    counter: turn.counter,
    afterReport: turn.kind === 'report',
    job: candidate?.job ?? '',
    terms: { leaseMs, firstRenewMs },
    limits: desk.configuration.limits,
    seen: [],
  };
}
