import type { Log } from '../../protocol/runtime/runtime.ts';
import type { Outcome } from '../core/command.ts';
import type { JobRow } from '../core/state.ts';

/**
 * One line for each change of a job, with its id (and the attempt's number) as every other program's lines have it. Said again
 * where the same end is seen again: a line never stands for a change that was not durable.
 */
export function logOutcome(log: Log, outcome: Outcome): void {
  switch (outcome.kind) {
    case 'accepted':
      log.info({ job: outcome.job.id, queue: outcome.job.queue }, 'job accepted');
      return;
    case 'leased': {
      const { job, attempt, agent } = outcome;
      log.info({ job: job.id, attempt, agent: agent.id, owner: agent.owner }, 'attempt leased');
      return;
    }
    case 'reported':
      logReported(log, outcome.job);
      return;
    case 'changed':
    case 'told':
      logChanged(log, outcome.job);
      return;
    case 'released':
      logEnds(log, outcome.job);
      return;
    case 'welcome':
    case 'revoked':
      for (const job of outcome.jobs) logEnds(log, job);
      return;
    case 'known':
    case 'pruned':
    case 'renewed':
    case 'repeat':
    case 'unchanged':
    case 'noted':
    case 'owner':
    case 'refused':
  }
}

function logReported(log: Log, job: JobRow): void {
  const last = job.attempts.at(-1);
  log.info({ job: job.id, attempt: last?.number, agent: last?.agent, exit: last?.exit }, 'attempt reported');
  if (job.state === 'committing') logChanged(log, job);
  else logEnds(log, job);
}

function logChanged(log: Log, job: JobRow): void {
  const attempt = job.lastAttempt;
  switch (job.state) {
    case 'committing':
      log.info({ job: job.id, attempt }, 'result verified');
      return;
    case 'committed':
      log.info({ job: job.id, attempt }, 'result committed');
      return;
    case 'told':
      log.info({ job: job.id }, 'framework told');
      return;
    case 'refused-by-framework':
      log.warn({ job: job.id, reason: job.reason }, 'framework refused the result');
      return;
    case 'queued':
    case 'leased':
    case 'reported':
    case 'waiting':
    case 'failed':
    case 'cancelled':
      logEnds(log, job);
  }
}

function logEnds(log: Log, job: JobRow): void {
  const last = job.attempts.at(-1);
  if (last?.state === 'void' && last.discard)
    log.info({ job: job.id, attempt: last.number, agent: last.agent, reason: last.reason }, 'attempt lost');
  if ((job.state === 'failed' || job.state === 'cancelled') && !job.told)
    log.info({ job: job.id, reason: job.reason }, `job ${job.state}`);
}
