import { type IncomingMessage, request } from 'node:http';
import { createInterface } from 'node:readline';
import type { CampaignListing, Paced, QueueListing } from '../adapters/jobs/local/campaign-routes.ts';
import type { StreamLine } from '../adapters/jobs/local/event-stream.ts';
import {
  type CampaignCounts,
  type CampaignSummary,
  type CancelledPage,
  type JobDetail,
  type JobFilter,
  type JobPage,
  MAX_POSTED_JOBS,
  type Submission,
  type Submitted,
} from '../adapters/jobs/local/queued-job.ts';
import type { LocalState } from '../adapters/jobs/local/job-state.core.ts';
import { CoPilotError, type ErrorCode } from '../protocol/errors.ts';

export type { StreamLine } from '../adapters/jobs/local/event-stream.ts';

/** Largest answer that is read. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

const DEFAULT_TIMEOUT_MS = 30_000;

/** No line for this long means that the queue's program is gone: it says it is alive every 10 s. */
const SILENCE_MS = 30_000;

/**
 * Talks to a running local queue. Every call rejects with `UNREACHABLE` where nothing answers at the socket, `TIMEOUT` after
 * `timeoutMs`, and otherwise with the code the queue answered.
 */
export interface ControlClient {
  /** Posts in parts of 1,000 jobs, each under a key of its own made from the submission's; a repeat continues where it broke. */
  submit(submission: Submission): Promise<Submitted>;
  list(filter?: JobFilter): Promise<JobPage>;
  show(job: string): Promise<JobDetail>;
  cancel(job: string): Promise<JobDetail>;
  /** Answers the id of the new try. */
  retry(job: string): Promise<string>;
  counts(campaign: string): Promise<CampaignCounts>;
  campaigns(after?: string): Promise<CampaignListing>;
  campaign(name: string): Promise<Paced<CampaignSummary>>;
  queues(): Promise<QueueListing>;
  pause(campaign: string): Promise<Paced<CampaignSummary>>;
  resume(campaign: string): Promise<Paced<CampaignSummary>>;
  /** Cancels a page of a campaign's jobs; the answer says where the next begins. */
  cancelPage(campaign: string, state: LocalState | undefined, after: number): Promise<CancelledPage>;
  /** Every change from now on. Ends when the signal aborts, the queue stops, or after `lagged`. */
  events(campaign: string | undefined, signal: AbortSignal): AsyncGenerator<StreamLine>;
}

export interface ControlClientOptions {
  readonly socketPath: string;
  readonly timeoutMs?: number;
}

interface Call {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: object;
}

export function createControlClient(options: ControlClientOptions): ControlClient {
  const { socketPath, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  // The server is ours and of the same version: its answers are typed here, in one place, without a second validation.
  const call = async <T>(wanted: Call): Promise<T> => {
    const response = await send(socketPath, wanted, AbortSignal.timeout(timeoutMs));
    return JSON.parse(await readAnswer(response)) as T;
  };

  return {
    async submit(submission) {
      const parts: Submitted[] = [];
      for (const body of partsOf(submission)) {
        parts.push(await call<Submitted>({ method: 'POST', path: '/v1/jobs', body }));
      }
      return { jobs: parts.flatMap((part) => part.jobs), repeated: parts.every((part) => part.repeated) };
    },
    list: (filter = {}) => call({ method: 'GET', path: `/v1/jobs${queryOf(filter)}` }),
    show: (job) => call({ method: 'GET', path: `/v1/jobs/${encodeURIComponent(job)}` }),
    cancel: (job) => call({ method: 'POST', path: `/v1/jobs/${encodeURIComponent(job)}/cancel` }),
    async retry(job) {
      const path = `/v1/jobs/${encodeURIComponent(job)}/retry`;
      return (await call<{ readonly job: string }>({ method: 'POST', path })).job;
    },
    counts: (campaign) => call({ method: 'GET', path: campaignPath(campaign) }),
    campaigns: (after) =>
      call({ method: 'GET', path: `/v1/campaigns${after === undefined ? '' : `?after=${after}`}` }),
    campaign: (name) => call({ method: 'GET', path: campaignPath(name) }),
    queues: () => call({ method: 'GET', path: '/v1/queues' }),
    pause: (campaign) => call({ method: 'POST', path: `${campaignPath(campaign)}/pause` }),
    resume: (campaign) => call({ method: 'POST', path: `${campaignPath(campaign)}/resume` }),
    cancelPage: (campaign, state, after) =>
      call({
        method: 'POST',
        path: `${campaignPath(campaign)}/cancel`,
        body: { after, ...(state !== undefined && { state }) },
      }),
    async *events(campaign, signal) {
      const path = `/v1/events${queryOf(campaign === undefined ? {} : { campaign })}`;
      const response = await send(socketPath, { method: 'GET', path }, signal);
      yield* linesOf(response, signal);
    },
  };
}

function campaignPath(campaign: string): string {
  return `/v1/campaigns/${encodeURIComponent(campaign)}`;
}

function partsOf(submission: Submission): readonly Submission[] {
  const count = Math.ceil(submission.jobs.length / MAX_POSTED_JOBS);
  if (count <= 1) return [submission];
  return Array.from({ length: count }, (_, part) => ({
    ...submission,
    key: `${submission.key}/${part + 1}`,
    jobs: submission.jobs.slice(part * MAX_POSTED_JOBS, (part + 1) * MAX_POSTED_JOBS),
  }));
}

function queryOf(filter: JobFilter): string {
  const pairs = Object.entries(filter).map(([name, value]) => [name, String(value)] as const);
  const query = new URLSearchParams(Object.fromEntries(pairs)).toString();
  return query === '' ? '' : `?${query}`;
}

/** Resolves with a successful answer whose body is still to be read. */
async function send(socketPath: string, call: Call, signal: AbortSignal): Promise<IncomingMessage> {
  const body = call.body === undefined ? undefined : JSON.stringify(call.body);
  const headers =
    body === undefined
      ? {}
      : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const { method, path } = call;
    const outgoing = request({ socketPath, method, path, headers, agent: false, signal }, resolve);
    outgoing.once('error', (cause) => reject(unreachable(cause, socketPath, signal)));
    outgoing.end(body);
  });
  if (response.statusCode === 200) return response;
  throw errorOf(await readAnswer(response));
}

async function readAnswer(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response) {
      if (!Buffer.isBuffer(chunk)) continue;
      bytes += chunk.length;
      if (bytes > MAX_ANSWER_BYTES)
        throw new CoPilotError('FRAME_TOO_LARGE', 'the answer of the local queue is over its bound');
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof CoPilotError) throw cause;
    throw new CoPilotError('UNREACHABLE', 'the local queue broke off its answer', { cause });
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function* linesOf(response: IncomingMessage, signal: AbortSignal): AsyncGenerator<StreamLine> {
  response.setTimeout(SILENCE_MS, () => response.destroy(new Error('no sign of life')));
  try {
    for await (const line of createInterface({ input: response })) yield JSON.parse(line) as StreamLine;
  } catch (cause) {
    if (!signal.aborted)
      throw new CoPilotError('UNREACHABLE', 'the local queue stopped answering', { cause });
  } finally {
    response.destroy();
  }
}

function unreachable(cause: Error, socketPath: string, signal: AbortSignal): CoPilotError {
  if (signal.aborted) return new CoPilotError('TIMEOUT', 'the local queue did not answer in time', { cause });
  return new CoPilotError(
    'UNREACHABLE',
    `nothing answers at ${socketPath}: start it with \`co-pilot up\`, or name its socket`,
    { cause },
  );
}

function errorOf(text: string): CoPilotError {
  try {
    const { code, message } = JSON.parse(text) as { readonly code: ErrorCode; readonly message: string };
    return new CoPilotError(code, message);
  } catch (cause) {
    return new CoPilotError('INTERNAL', 'the local queue answered with something else than its errors', {
      cause,
    });
  }
}
