import type { JobDetail } from '../../adapters/jobs/local/queued-job.ts';
import type { Attempt, JobRow } from '../../broker/core/state.ts';
import type { RefusedJob } from '../../adapters/jobs/kit/refused-jobs.ts';
import type { WhyFacts } from '../../broker/service/why-facts.ts';
import type { Answer } from './answer.ts';
import { endOf } from './attempt-end.ts';
import { type Cause, CAUSES } from './causes.ts';
import { explainQueued } from './queued.ts';
import { explainStep } from './step.ts';
import { age, count } from './words.ts';

/** What is known of a job, as far as those who know it answer. */
export interface Known {
  readonly job: string;
  /** From the local queue; null where it has no such job. */
  readonly local: JobDetail | null;
  /** From the broker; null where it does not answer. */
  readonly broker: WhyFacts | null;
  /** Noted by the adapter of a framework, which refused it; null where none did. */
  readonly refused?: RefusedByAdapter | null;
  /** The wall clock. */
  readonly nowMs: number;
}

/** What the adapter of a framework noted of a job that it never handed over. */
export interface RefusedByAdapter extends RefusedJob {
  readonly adapter: string;
}

/** One sentence, what it rests on, and what to do. */
export interface Explanation {
  readonly job: string;
  readonly cause: Cause;
  readonly sentence: string;
  readonly evidence: readonly string[];
  readonly next: string;
}

/** Why the job is where it is: from facts to one sentence, nothing else. */
export function explain(known: Known): Explanation {
  const { cause, sentence, evidence = [] } = answer(known);
  const shown = [...evidence, ...generalEvidence(known)];
  return { job: known.job, cause, sentence, evidence: shown, next: CAUSES[cause] };
}

function answer(known: Known): Answer {
  const { local, broker } = known;
  if (broker?.job) return explainRow(broker.job, broker);
  if (known.refused) return refusedByAdapter(known.refused, known.nowMs);
  if (local === null) return unknownJob(known);
  switch (local.state) {
    case 'finished':
      return { cause: 'finished', sentence: `The job is finished, by attempt ${local.attempt}.` };
    case 'cancelled':
      return { cause: 'cancelled', sentence: `The job was cancelled: ${local.reason || 'its owner asked'}.` };
    case 'failed':
      return failedBeforeTheLedger(local);
    case 'pending':
    case 'handed':
      return explainUnfetched(local, broker);
    case 'accepted':
    case 'running':
      return broker === null ? brokerAway() : unexplained('the broker has no such job, though it took it');
  }
}

function refusedByAdapter({ adapter, ref, reason, atMs }: RefusedByAdapter, nowMs: number): Answer {
  return {
    cause: 'framework-job-refused',
    sentence: `The adapter ${adapter} refused the job ${ref} of its framework: ${reason}.`,
    evidence: [`${adapter}: refused ${age(nowMs - atMs)} ago, and the framework was told`],
  };
}

function unknownJob({ job, broker }: Known): Answer {
  if (broker === null) return brokerAway();
  return { cause: 'unknown-job', sentence: `Neither the local queue nor the broker has a job ${job}.` };
}

function brokerAway(): Answer {
  return {
    cause: 'broker-away',
    sentence: 'The broker does not answer, so nobody can say where the job is.',
  };
}

function unexplained(what: string): Answer {
  return { cause: 'unexplained', sentence: `There is no explanation: ${what}.` };
}

function failedBeforeTheLedger({ attempt, reason }: JobDetail): Answer {
  if (attempt > 0) return { cause: 'lost-too-often', sentence: `The job failed: ${reason}.` };
  return { cause: 'description-refused', sentence: `The broker refused the job's description: ${reason}.` };
}

/** The broker does not have it yet. */
function explainUnfetched({ queue }: JobDetail, broker: WhyFacts | null): Answer {
  if (broker === null)
    return {
      cause: 'broker-away',
      sentence: 'The job waits in the local queue: the broker does not answer.',
    };
  const facts = broker.queue;
  if (facts === null)
    return {
      cause: 'queue-not-served',
      sentence: `The broker has no queue ${queue}; nobody fetches the job.`,
    };
  if (!facts.isJobAdapterThere) {
    const sentence = `The job waits in the local queue: the job adapter ${facts.jobAdapter} is not connected to the broker.`;
    return { cause: 'job-adapter-away', sentence };
  }
  const [trouble] = facts.troubles;
  if (trouble !== undefined) {
    const sentence = `The broker cannot fetch jobs of queue ${queue}: ${trouble.message} (${count(trouble.times, 'time')} in ${age(trouble.forMs)}).`;
    return { cause: 'job-adapter-failing', sentence };
  }
  if (!facts.isFull) return { cause: 'on-its-way', sentence: 'The broker is about to fetch the job.' };
  const before = `${count(facts.waiting, 'job')} of queue ${queue}`;
  return facts.waiting > facts.prefetch
    ? {
        cause: 'queue-is-full',
        sentence: `${before} wait at the broker that no agent there may run, so it fetches no more.`,
      }
    : {
        cause: 'waits-to-be-fetched',
        sentence: `${before} wait at the broker, which fetches ahead ${facts.prefetch} at most.`,
      };
}

function explainRow(job: JobRow, broker: WhyFacts): Answer {
  switch (job.state) {
    case 'queued':
      return explainQueued(job, broker);
    case 'leased':
      return explainLeased(job, broker);
    case 'reported':
      return explainStep('verify', job, broker);
    case 'committing':
      return explainStep('finalise', job, broker);
    case 'committed':
      return explainStep('tell', job, broker);
    case 'told':
      return { cause: 'finished', sentence: 'The job is finished, and its framework knows.' };
    case 'refused-by-framework':
      return {
        cause: 'framework-refused',
        sentence: `The job has its result, and the framework will not have it: ${job.reason}.`,
      };
    case 'failed':
      return explainFailed(job);
    case 'cancelled':
      return { cause: 'cancelled', sentence: `The job was cancelled: ${job.reason}.` };
    case 'waiting':
      return unexplained('it waits for replicas, which there are none of');
  }
}

function explainLeased(job: JobRow, broker: WhyFacts): Answer {
  const { nowMs, holder, troubles } = broker;
  const live = job.attempts.find((attempt) => attempt.state === 'live');
  if (live === undefined || holder === null) return unexplained('it is leased and has no live attempt');
  const left = `the lease has ${age(live.deadlineMs - nowMs)} left`;
  const who = `attempt ${live.number} on agent ${live.agent}`;
  if (troubles.some(({ step }) => step === 'grant')) return explainStep('grant', job, broker);
  if (!holder.isConnected)
    return { cause: 'agent-away', sentence: `The job is leased as ${who}, which is not connected; ${left}.` };
  if (!live.renewed)
    return {
      cause: 'not-renewed-yet',
      sentence: `The job is leased as ${who}, which has not renewed yet; ${left}.`,
    };
  const silentMs = nowMs - (live.deadlineMs - live.leaseMs);
  if (silentMs > live.leaseMs / 2)
    return { cause: 'agent-away', sentence: `The job runs as ${who}, silent for ${age(silentMs)}; ${left}.` };
  const percent = Math.round(100 * live.progress);
  return {
    cause: 'running',
    sentence: `The job runs as ${who}, ${percent} % done after ${age(nowMs - live.startedMs)}.`,
  };
}

/** Losses that say no more than that machines are not to be relied on. */
const OF_MACHINES: ReadonlySet<Cause> = new Set<Cause>([
  'lease-lost',
  'never-renewed',
  'released',
  'agent-revoked',
  'agent-restored',
]);

function explainFailed(job: JobRow): Answer {
  const last = job.attempts.at(-1);
  if (last === undefined) return unexplained(`the job failed: ${job.reason}`);
  const end = endOf(last);
  if (job.failures > job.retries) {
    const tries = `${count(job.failures, 'try', 'tries')}, ${job.retries} of them retries`;
    return { cause: end.cause, sentence: `The job failed: ${end.words} (${tries}).` };
  }
  const cause = OF_MACHINES.has(end.cause) ? 'lost-too-often' : end.cause;
  const sentence = `The job failed: lost ${count(job.losses, 'time')}, which is more than ${job.maxLost}; last: ${end.words}.`;
  return { cause, sentence };
}

function generalEvidence({ local, broker, nowMs }: Known): readonly string[] {
  return [
    ...(local === null ? [] : [localEvidence(local, nowMs)]),
    ...(broker?.job ? rowEvidence(broker.job, broker.nowMs) : []),
    ...(broker?.troubles ?? []).map(
      ({ step, code, message, times, forMs }) =>
        `step ${step} failed ${count(times, 'time')} in ${age(forMs)}, last with ${code}: ${message}`,
    ),
  ];
}

function localEvidence(local: JobDetail, nowMs: number): string {
  const when = `submitted ${age(nowMs - local.submittedMs)} ago, changed ${age(nowMs - local.changedMs)} ago`;
  return `local queue: ${local.state} in queue ${local.queue}, campaign ${local.campaign}, ${when}`;
}

const SHOWN_ATTEMPTS = 5;

function rowEvidence(job: JobRow, nowMs: number): readonly string[] {
  const tries = `${job.failures} failed of ${job.retries} retries, ${job.losses} lost of ${job.maxLost}`;
  return [
    `broker: ${job.state}, accepted ${age(nowMs - job.createdMs)} ago, ${tries}`,
    ...job.attempts.slice(-SHOWN_ATTEMPTS).map((attempt) => attemptEvidence(attempt, nowMs)),
  ];
}

function attemptEvidence({ number, state, agent, startedMs, reason }: Attempt, nowMs: number): string {
  const why = reason === '' ? '' : `: ${reason}`;
  return `attempt ${number}: ${state}, begun ${age(nowMs - startedMs)} ago on agent ${agent}${why}`;
}
