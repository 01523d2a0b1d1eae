import { CoPilotError, toCoPilotError } from '../../protocol/errors.ts';
import type {
  Ask,
  OpCall,
  OpFetch,
  OpFinished,
  OpParts,
  ResultCalled,
  ResultJobs,
  ResultOk,
  ResultParts,
  ResultRefused,
} from '../../protocol/generated/types.ts';
import { fitting, MAX_FETCH_JOBS } from './fetch-bound.ts';
import { type JobAdapter, MAX_EVENTS } from './job-adapter.ts';

/** One item of the trusted side, whatever adapter it is for. */
export type AskItem = Ask['items'][number];

export type JobAnswer = ResultOk | ResultRefused | ResultJobs | ResultCalled | ResultParts;

const MAX_TEXT = 512;
/** Characters that the answer to a call may have (protocol/schemas/common.schema.json, callBody). */
const MAX_CALL_BODY = 24_576;

/**
 * Turns one item asked of a job adapter into its answer; never rejects. A fault of the adapter becomes `refused` with its
 * stable code, a result the framework will not have `refused` with `RESULT_REFUSED`, an item that is not for a job adapter
 * `refused` with `UNSUPPORTED`. A fetch answers with at most what one message carries and says `more` for the rest.
 */
export async function answerJobItem(adapter: JobAdapter, item: AskItem): Promise<JobAnswer> {
  try {
    return await answer(adapter, item);
  } catch (caught) {
    const error = toCoPilotError(caught);
    // The text of a fault that is our own may name files or rows: it stays in the adapter's log.
    return refused(item.item, error.code, error.code === 'INTERNAL' ? 'the adapter failed' : error.message);
  }
}

async function answer(adapter: JobAdapter, item: AskItem): Promise<JobAnswer> {
  switch (item.op) {
    case 'fetch':
      return fetchJobs(adapter, item);
    case 'started':
      await adapter.started(item.job, item.attempt, item.agent, item.state ?? '');
      return ok(item.item);
    case 'renewed':
      await adapter.renewed(item.job, item.attempt, item.progress, item.state ?? '');
      return ok(item.item);
    case 'released':
      await adapter.released(item.job, item.attempt, item.reason, item.state ?? '');
      return ok(item.item);
    case 'finished':
      return finish(adapter, item);
    case 'failed':
      await adapter.failed(item.job, item.outcome, item.reason, item.attempts, item.state ?? '');
      return ok(item.item);
    case 'call':
      return call(adapter, item);
    case 'parts':
      return parts(adapter, item);
    case 'grant':
    case 'verify':
    case 'finalise':
    case 'discard':
    case 'available':
    case 'kill':
      return refused(item.item, 'UNSUPPORTED', 'a job adapter answers no such item');
  }
}

async function fetchJobs(adapter: JobAdapter, item: OpFetch): Promise<JobAnswer> {
  const fetched = await adapter.fetch(item.queue, Math.min(item.max, MAX_FETCH_JOBS), item.accepted);
  const jobs = fitting(fetched.jobs);
  return { result: 'jobs', item: item.item, jobs, more: fetched.more || jobs.length < fetched.jobs.length };
}

async function finish(adapter: JobAdapter, item: OpFinished): Promise<JobAnswer> {
  const { job, attempt, manifest, usage, state = '' } = item;
  const outcome = await adapter.finished(job, attempt, manifest, usage, state);
  if (outcome === 'refused')
    return refused(item.item, 'RESULT_REFUSED', 'the framework will not have this result');
  return outcome === 'ok' ? ok(item.item) : { ...ok(item.item), ...countedOf(outcome.events) };
}

/** A number that is none, or that nobody can mean, is not known. */
function countedOf(events: number): Pick<ResultOk, 'events'> {
  return Number.isInteger(events) && events >= 0 && events <= MAX_EVENTS ? { events } : {};
}

async function call(adapter: JobAdapter, item: OpCall): Promise<ResultCalled> {
  const { job, attempt, method, body, state = '' } = item;
  const answered = await adapter.call?.(job, attempt, method, body, state);
  if (answered === undefined) throw new CoPilotError('UNSUPPORTED', 'this job adapter takes no calls');
  if (answered.length > MAX_CALL_BODY)
    throw new CoPilotError(
      'FRAME_TOO_LARGE',
      `an answer of ${answered.length} characters is over ${MAX_CALL_BODY}`,
    );
  return { result: 'called', item: item.item, body: answered };
}

async function parts(adapter: JobAdapter, item: OpParts): Promise<ResultParts> {
  const { job, attempt, verb, parts: named, state = '' } = item;
  const has = await adapter.parts?.(job, attempt, verb, named, state);
  if (has === undefined) throw new CoPilotError('UNSUPPORTED', 'the jobs of this adapter have no parts');
  return { result: 'parts', item: item.item, parts: has };
}

function ok(item: number): ResultOk {
  return { result: 'ok', item };
}

function refused(item: number, code: string, message: string): ResultRefused {
  return { result: 'refused', item, code, message: message.slice(0, MAX_TEXT) };
}
