import type { JobRow } from '../../broker/core/state.ts';
import type { WhyFacts } from '../../broker/service/why-facts.ts';
import type { Cause } from './causes.ts';
import type { Answer } from './answer.ts';
import { age, count } from './words.ts';

type Step = 'grant' | 'verify' | 'finalise' | 'tell';

/** What the broker waits for in a step, and how it is said where nothing is wrong. */
const STEPS: Readonly<Record<Step, { readonly what: string; readonly fine: Cause; readonly said: string }>> =
  {
    grant: { what: 'let its agent at its files', fine: 'running', said: 'The job runs.' },
    verify: {
      what: 'check the files that were uploaded',
      fine: 'verifying',
      said: 'The job is reported; storage is checking its files.',
    },
    finalise: {
      what: 'register the result',
      fine: 'committing',
      said: 'The job is being committed; storage is registering its files.',
    },
    tell: {
      what: 'take the result',
      fine: 'telling',
      said: 'The job is committed; its framework is being told.',
    },
  };

const AWAY: ReadonlySet<string> = new Set(['UNREACHABLE', 'TIMEOUT', 'BUS_CLOSED']);
const FULL: ReadonlySet<string> = new Set(['STORAGE_FULL', 'QUOTA_EXCEEDED', 'LEDGER_FULL', 'QUEUE_FULL']);

/** A job that waits for an adapter. */
export function explainStep(step: Step, job: JobRow, { queue, troubles }: WhyFacts): Answer {
  const { what, fine, said } = STEPS[step];
  if (queue === null)
    return {
      cause: 'queue-not-served',
      sentence: `The broker has no queue ${job.queue} any more; nobody is asked to ${what}.`,
    };
  const isJobs = step === 'tell';
  const name = isJobs ? `job adapter ${queue.jobAdapter}` : `storage adapter ${queue.storageAdapter}`;
  const trouble = troubles.find((one) => one.step === step);
  if (!(isJobs ? queue.isJobAdapterThere : queue.isStorageAdapterThere)) {
    const sentence = `The ${name} is not connected, so it cannot ${what}.`;
    return { cause: isJobs ? 'job-adapter-away' : 'storage-away', sentence };
  }
  if (trouble === undefined) return { cause: fine, sentence: said };
  const { code, message, times, forMs } = trouble;
  const tried = `${count(times, 'time')} in ${age(forMs)}`;
  return { cause: causeOf(isJobs, code), sentence: `The ${name} cannot ${what}: ${message} (${tried}).` };
}

function causeOf(isJobs: boolean, code: string): Cause {
  if (isJobs) return AWAY.has(code) ? 'job-adapter-away' : 'job-adapter-failing';
  if (AWAY.has(code)) return 'storage-away';
  return FULL.has(code) ? 'storage-full' : 'storage-failing';
}
