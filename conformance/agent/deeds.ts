import type { Renew, Lease } from '../../protocol/generated/types.ts';
import { expect } from '../expectation.ts';
import type { Heard } from './clerk.ts';
import type { JobWish } from './jobs.ts';
import type { Stage } from './stage.ts';

/** The attempt is reported as a success. */
export async function succeeds(stage: Stage, lease: Lease, withinMs?: number): Promise<void> {
  const { exit } = await stage.report(lease, withinMs);
  expect(exit.kind === 'exited' && exit.code === 0, `the job ended ${JSON.stringify(exit)}`);
}

/** Gives a job and waits for its first renewal: the agent works on it for sure. */
export async function holds(stage: Stage, wish: JobWish): Promise<Lease> {
  const lease = await stage.gives({ firstRenewSeconds: 2, leaseSeconds: 300, ...wish });
  await renewalOf(stage, lease, 6000);
  return lease;
}

/** The next renewal that names the lease. */
export function renewalOf(stage: Stage, lease: Lease, withinMs: number): Promise<Heard<Renew>> {
  return stage.hears('renew', ({ message }) => message.leases.some(({ job }) => job === lease.job), withinMs);
}

/** Ends a job as an operator does. */
export async function cancel(stage: Stage, job: string): Promise<void> {
  const deal = stage.clerk.deals.find(({ lease }) => lease.job === job);
  if (deal !== undefined) deal.order = 'cancel';
  stage.say({ kind: 'notice', command: 'renew-now' });
  await stage.parked(15_000);
}

/** Between two words to an agent that waits for work, so that it has an answer to take a verdict from, and something to say. */
const PROD_MS = 1000;

/** Some message names the verdict as seen. */
export async function named(stage: Stage, { job }: Lease, withinMs: number): Promise<void> {
  let proddedMs = performance.now();
  await stage.until(
    `a message that names the verdict of ${job} as seen`,
    () => {
      if (stage.clerk.parked !== undefined && performance.now() - proddedMs > PROD_MS) {
        stage.clerk.none({ reason: 'no-work', retryAfterSeconds: 0 });
        proddedMs = performance.now();
      }
      return stage.clerk.heard.find(
        ({ message }) => 'seen' in message && message.seen.some((attempt) => attempt.job === job),
      );
    },
    withinMs,
  );
}
