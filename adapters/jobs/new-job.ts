import { bytesOf } from '../../protocol/encoding.ts';
import type { NewJob } from '../../protocol/generated/types.ts';
import { isAnswers } from '../../protocol/generated/validators.js';
import { MAX_DESCRIPTION_BYTES } from '../../protocol/messages.ts';

const JOB_PATH = '/items/0/jobs/0';

/**
 * What is wrong with a job, or undefined. One bad job in an answer makes the broker refuse the whole message, so an adapter
 * lets none in that the contract (protocol/schemas/common.schema.json, newJob) would not take.
 */
export function newJobFault(job: NewJob): string | undefined {
  const answer = { kind: 'answers', items: [{ result: 'jobs', item: 1, jobs: [job], more: false }] };
  if (!isAnswers(answer)) return schemaFault();
  const bytes = bytesOf(JSON.stringify(job.description)).length;
  if (bytes > MAX_DESCRIPTION_BYTES) return `description of ${bytes} bytes is over ${MAX_DESCRIPTION_BYTES}`;
  return undefined;
}

/** The error nearest to the job: the others only say that the answer is none of the other kinds of answer. */
function schemaFault(): string {
  const inside = (isAnswers.errors ?? []).find((error) => error.instancePath.startsWith(JOB_PATH));
  if (inside === undefined) return 'is not a job as the schema says';
  const field = inside.instancePath.slice(JOB_PATH.length + 1).replaceAll('/', '.');
  return `${field === '' ? 'the job' : field} ${inside.message ?? inside.keyword}`;
}
