import type { Job, None, NoWork } from '../../protocol/generated/types.ts';
import type { Answer } from './asks.ts';
import { runAttempt } from './attempt.ts';
import type { Next, Work } from './attempt.ts';
import type { Context } from './context.ts';
import { Seat } from './seat.ts';
import { atLeast, backOffMs, sleep } from './wait.ts';

/** Whatever the broker says, a slot does not ask faster than this. */
const LEAST_WAIT_MS = 50;
const FIRST_REFUSAL_WAIT_MS = 1_000;
const LONGEST_REFUSAL_WAIT_MS = 60_000;

/** One slot's life: take up what an earlier start left, then ask, work, report, until the agent drains. */
export async function runSlot(context: Context, slot: number, kept: Work[]): Promise<void> {
  const seat = new Seat(context, slot);
  let next: Next = { kind: 'ask' };
  let refusals = 0;
  while (!context.closing.aborted) {
    const work = next.kind === 'work' ? next.work : kept.shift();
    // What has ended needs no host; what cannot begin here is given back as a draining agent does.
    const isAdmitted = work?.kind === 'ended' || (await seat.take());
    if (work !== undefined) {
      next = await runAttempt(seat.context, slot, work);
      seat.jobEnded();
      continue;
    }
    if (!isAdmitted || context.draining.aborted) break;
    const asked = await askForWork(context, slot, next);
    refusals = asked.kind === 'refused' ? refusals + 1 : 0;
    next = await nextAfter(context, slot, asked, refusals);
  }
  seat.leave();
  context.emit({ kind: 'slot', slot, phase: 'idle' });
}

async function askForWork(context: Context, slot: number, next: Next): Promise<Answer<Job | None>> {
  if (next.kind === 'wait') await waitAsTold(context, slot, next.none);
  await waitForRoom(context, slot);
  await context.verdicts.settled();
  if (context.draining.aborted) return { kind: 'given-up' };
  context.emit({ kind: 'slot', slot, phase: 'asking' });
  const seen = context.verdicts.toName();
  const answer = await context.link.request(slot, { ad: context.hostAd(), seen }, context.draining);
  if (answer.kind === 'answered') context.verdicts.named(seen);
  return answer;
}

async function nextAfter(
  context: Context,
  slot: number,
  asked: Answer<Job | None>,
  refusals: number,
): Promise<Next> {
  if (asked.kind === 'answered') {
    return asked.message.kind === 'job'
      ? { kind: 'work', work: { kind: 'leased', lease: asked.message.lease } }
      : { kind: 'wait', none: asked.message.none };
  }
  if (asked.kind === 'refused') {
    const { clock, random } = context.runtime;
    context.emit({ kind: 'slot', slot, phase: 'waiting', reason: asked.code });
    const waitMs = backOffMs(random, refusals - 1, FIRST_REFUSAL_WAIT_MS, LONGEST_REFUSAL_WAIT_MS);
    await sleep(clock, waitMs, context.draining);
  }
  return { kind: 'ask' };
}

async function waitAsTold(context: Context, slot: number, none: NoWork): Promise<void> {
  const { clock, random } = context.runtime;
  const waitMs = Math.max(LEAST_WAIT_MS, atLeast(random, none.retryAfterSeconds * 1000));
  if (waitMs > LEAST_WAIT_MS) context.emit({ kind: 'slot', slot, phase: 'waiting', reason: none.reason });
  await sleep(clock, waitMs, context.draining);
}

/** Results whose verdict is not known are kept; over their bound no more are made. */
async function waitForRoom(context: Context, slot: number): Promise<void> {
  while (!context.verdicts.hasRoom && !context.draining.aborted) {
    context.emit({ kind: 'slot', slot, phase: 'waiting', reason: 'unresolved-results' });
    await Promise.race([context.verdicts.change(), aborted(context.draining)]);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
