import fc from 'fast-check';
import type { Command, Seen } from '../../../broker/core/command.ts';
import { duties } from '../../../broker/core/duties.ts';
import {
  abort,
  accept,
  cancel,
  discarded,
  expire,
  FILE,
  finalised,
  grace,
  hello,
  lease,
  mismatch,
  release,
  renew,
  report,
  type Step,
  TERMS,
  told,
  USAGE,
  verified,
  type World,
} from './world.ts';

/** One random event; what it means depends on the world it meets, so that random sequences reach deep states. */
export interface Event {
  readonly kind: Kind;
  readonly job: number;
  readonly agent: number;
  readonly start: number;
  readonly slot: number;
  /** Added to the slot's last counter; 1 is what an honest agent sends. */
  readonly counterStep: number;
  readonly attempt: 'last' | 'older' | 'forged';
  /** Whether an agent command comes from the one who holds the attempt or from the random one. */
  readonly isHolder: boolean;
  readonly choice: number;
}

type Kind = Command['kind'] | 'duty' | 'duplicate' | 'wait' | 'sweep';

const WEIGHTED: readonly (readonly [Kind, number])[] = [
  ['lease', 14],
  ['duty', 14],
  ['report', 14],
  ['verified', 6],
  ['finalised', 3],
  ['accept', 6],
  ['renew', 6],
  ['duplicate', 8],
  ['wait', 6],
  ['sweep', 5],
  ['hello', 6],
  ['told', 3],
  ['discarded', 4],
  ['release', 3],
  ['seen', 3],
  ['abort', 4],
  ['expire', 2],
  ['grace', 2],
  ['cancel', 3],
  ['revoke', 1],
  ['ban', 1],
];

export const events: fc.Arbitrary<readonly Event[]> = fc.array(
  fc.record({
    kind: fc.oneof(...WEIGHTED.map(([kind, weight]) => ({ arbitrary: fc.constant(kind), weight }))),
    job: fc.nat(3),
    agent: fc.nat(2),
    start: fc.nat(2),
    slot: fc.integer({ min: 1, max: 2 }),
    counterStep: fc.oneof(
      { arbitrary: fc.constant(1), weight: 8 },
      { arbitrary: fc.integer({ min: -1, max: 3 }), weight: 2 },
    ),
    attempt: fc.oneof(
      { arbitrary: fc.constant('last' as const), weight: 7 },
      { arbitrary: fc.constantFrom('older' as const, 'forged' as const), weight: 2 },
    ),
    isHolder: fc.oneof(
      { arbitrary: fc.constant(true), weight: 4 },
      { arbitrary: fc.constant(false), weight: 1 },
    ),
    choice: fc.nat(999),
  }),
  { minLength: 40, maxLength: 200, size: 'max' },
);

const AGENTS = ['a', 'b', 'c'];
const OWNERS = ['volunteer', 'volunteer', 'office'];

/** Plays events into a world and hands every step to `watch`. The first two agents share one owner. */
export function play(world: World, played: readonly Event[], watch: (step: Step) => void): void {
  const sent: Command[] = [];
  const send = (command: Command): void => {
    sent.push(command);
    watch(world.do(command));
  };
  for (const [at, agent] of AGENTS.entries()) send(hello(agent, 's0', OWNERS[at]));
  for (const id of ['j0', 'j1', 'j2']) send(accept(id, { retries: 3, maxLost: 5 }));
  for (const event of played) {
    if (event.kind === 'wait') world.advance(waits[event.choice % waits.length]!);
    else if (event.kind === 'sweep') for (const job of world.jobs()) send(expire(job.id));
    else if (event.kind === 'duplicate') watch(world.do(sent[event.choice % sent.length]!));
    else if (event.kind === 'duty') for (const command of dutiesDone(world, event)) send(command);
    else send(commandOf(world, event, event.kind));
  }
}

/** What a broker does that takes up one duty of one job. */
function dutiesDone(world: World, event: Event): readonly Command[] {
  const job = world.jobs().find(({ id }) => id === `j${event.job}`);
  const left = job === undefined ? [] : duties(job);
  const duty = left[event.choice % Math.max(1, left.length)];
  if (job === undefined || duty === undefined) return [];
  switch (duty.kind) {
    case 'verify':
      return [event.choice % 5 === 0 ? mismatch(job.id, duty.attempt) : verified(job.id, duty.attempt)];
    case 'finalise':
      return [event.choice % 4 === 0 ? abort(job.id, duty.attempt) : finalised(job.id, duty.attempt)];
    case 'discard':
      return [discarded(job.id, duty.attempt)];
    case 'tell':
      return [told(job.id, event.choice % 5 === 0 ? 'refused' : 'ok')];
  }
}

const waits = [0, 1, 5_000, TERMS.firstRenewMs + 1, TERMS.leaseMs + 1, 3_600_000];

/** Advances past every lease and sweeps, as any broker that is up does. */
export function letLeasesEnd(world: World, watch: (step: Step) => void): void {
  world.advance(TERMS.leaseMs + 1);
  for (const job of world.jobs()) watch(world.do(expire(job.id)));
}

function commandOf(world: World, event: Event, kind: Command['kind']): Command {
  const id = `j${event.job}`;
  const attempt = attemptNumber(world, id, event);
  const agent = agentOf(world, id, event);
  const row = world.agent(agent);
  const start = event.choice % 10 === 0 ? `s${event.start}` : row.start;
  const counter = (row.slots[event.slot]?.counter ?? 0) + event.counterStep;
  const counted = { start, slot: event.slot };
  const seen = seenOf(row.verdicts, event.choice);
  switch (kind) {
    case 'accept':
      return accept(id, { retries: event.choice % 4, maxLost: event.choice % 5 });
    case 'hello':
      if (event.choice % 9 === 0) return commandOf(world, event, 'enrol');
      if (event.choice % 9 === 1) return commandOf(world, event, 'lapse');
      return hello(agent, `s${event.start}`, OWNERS[AGENTS.indexOf(agent)]);
    case 'enrol':
      return {
        ...{ kind, agent, owner: OWNERS[AGENTS.indexOf(agent)]!, site: 'home', tier: 'untrusted' },
        agentsPerOwner: 1 + (event.choice % 2),
      };
    case 'lapse':
      return { kind, agent };
    case 'lease':
      return lease(AGENTS[event.agent]!, id, nextCounter(world, event), {
        start: event.choice % 10 === 0 ? `s${event.start}` : world.agent(AGENTS[event.agent]!).start,
        slot: event.slot,
        seen,
      });
    case 'renew':
      return renew(agent, id, attempt, { start, usage: event.choice % 2 === 0 ? USAGE : null });
    case 'report':
      return report(agent, id, attempt, counter, {
        ...counted,
        seen,
        ...exitOf(event.choice),
        ...verifiedAhead(event.choice),
      });
    case 'release':
      return { ...release(agent, id, attempt, counter, event.choice % 2 === 0 ? 'drain' : 'x'), ...counted };
    case 'seen':
      return { kind, agent, start, seen };
    case 'verified':
      return event.choice % 4 === 0 ? mismatch(id, attempt) : verified(id, attempt, [FILE]);
    case 'abort':
      return abort(id, attempt);
    case 'finalised':
      return finalised(id, attempt);
    case 'discarded':
      return discarded(id, attempt);
    case 'told':
      return told(id, event.choice % 5 === 0 ? 'refused' : 'ok', 'because');
    case 'cancel':
      return cancel(id);
    case 'expire':
      return expire(id);
    case 'grace':
      return grace(id);
    case 'revoke':
      return { kind, agent: event.choice % 4 === 0 ? agent : 'nobody', reason: 'stolen' };
    case 'drain':
      return { kind, agent, draining: event.choice % 8 === 0 };
    case 'ban':
      if (event.choice % 2 === 0) return commandOf(world, event, 'drain');
      return { kind, owner: OWNERS[event.agent]!, banned: event.choice % 3 === 0 };
  }
}

function nextCounter(world: World, event: Event): number {
  const slot = world.agent(AGENTS[event.agent]!).slots[event.slot];
  return (slot?.counter ?? 0) + event.counterStep;
}

function exitOf(choice: number): object {
  return choice % 4 === 1 ? { exit: { kind: 'exited', code: 1 } } : {};
}

/** Storage was asked before, and may have seen other files. */
function verifiedAhead(choice: number): object {
  if (choice % 5 < 3) return {};
  const files = choice % 7 === 0 ? [] : [FILE];
  return {
    verification: choice % 11 === 0 ? { kind: 'mismatch', reason: 'x' } : { kind: 'verified', files },
  };
}

function seenOf(verdicts: readonly Seen[], choice: number): readonly Seen[] {
  return choice % 3 === 0 ? verdicts.map(({ job, attempt }) => ({ job, attempt })) : [];
}

function attemptNumber(world: World, id: string, event: Event): number {
  const last = world.jobs().find((job) => job.id === id)?.lastAttempt ?? 0;
  if (event.attempt === 'last') return last;
  return event.attempt === 'older' ? event.choice % (last + 1) : last + 1;
}

function agentOf(world: World, id: string, event: Event): string {
  const holder = world
    .jobs()
    .find((job) => job.id === id)
    ?.attempts.at(-1)?.agent;
  return (event.isHolder ? holder : undefined) ?? AGENTS[event.agent]!;
}
