import type { Outcome } from '../broker/core/command.ts';
import type { Attempt, JobRow } from '../broker/core/state.ts';

/** What happens to attempts and jobs, as lines of JSON that displays and scripts read. */
export type BrokerEvent =
  | {
      readonly event: 'leased';
      readonly job: string;
      readonly ref: string;
      readonly attempt: number;
      readonly agent: string;
      readonly owner: string;
    }
  | {
      readonly event: 'lost';
      readonly job: string;
      readonly attempt: number;
      readonly agent: string;
      readonly reason: string;
    }
  | { readonly event: 'committed'; readonly job: string; readonly attempt: number; readonly agent: string }
  | { readonly event: 'failed' | 'cancelled'; readonly job: string; readonly reason: string };

/** Turns outcomes into events: each void attempt and each end is told once in this start of the broker. */
export function outcomeEvents(onEvent: (event: BrokerEvent) => void): (outcome: Outcome) => void {
  return (outcome) => {
    if (outcome.kind === 'leased') {
      const { job, attempt, agent } = outcome;
      onEvent({ event: 'leased', job: job.id, ref: job.ref, attempt, agent: agent.id, owner: agent.owner });
      return;
    }
    for (const job of 'job' in outcome ? [outcome.job] : 'jobs' in outcome ? outcome.jobs : [])
      tellRow(job, onEvent);
  };
}

function tellRow(job: JobRow, onEvent: (event: BrokerEvent) => void): void {
  const last = job.attempts.at(-1);
  if (last?.state === 'void' && last.discard && job.state !== 'cancelled') onEvent(lost(job, last));
  if (job.state === 'committed') {
    const result = job.attempts.find((attempt) => attempt.state === 'committed');
    if (result !== undefined)
      onEvent({ event: 'committed', job: job.id, attempt: result.number, agent: result.agent });
  }
  if ((job.state === 'failed' || job.state === 'cancelled') && !job.told)
    onEvent({ event: job.state, job: job.id, reason: job.reason });
}

function lost(job: JobRow, attempt: Attempt): BrokerEvent {
  return {
    event: 'lost',
    job: job.id,
    attempt: attempt.number,
    agent: attempt.agent,
    reason: attempt.reason,
  };
}
