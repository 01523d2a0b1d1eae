import { CoPilotError } from '../../../protocol/errors.ts';
import type { FrameworkHttp, FrameworkRequest } from '../kit/framework-http.ts';
import {
  type Fields,
  heardOf,
  isFields,
  isList,
  jsonOf,
  objectOf,
  shown,
  textOfAnswer,
  timeText,
} from './answer-reader.ts';
import { rangesOf } from './event-range.ts';
import type { EventJob, Heard, Identity, JobStatus, JobUpdate, PandaClient } from './panda-client.ts';

const NO_JOBS = 'No jobs in PanDA';
const ROLE = /production or pilot role|no production\/pilot role|SSL secure connection/u;

export interface ClientOptions {
  readonly http: FrameworkHttp;
  /** Goes with a bearer token. */
  readonly origin: string | undefined;
  readonly scheduler: string;
  readonly label: string;
}

interface Envelope {
  readonly success: boolean;
  readonly message: string;
  readonly data: unknown;
}

/** The calls in PanDA server API v1 (PanDA server, `pandaserver/api/v1`). It refuses names it does not know: nothing goes beyond its own. */
export function createV1Client({ http, origin, scheduler, label }: ClientOptions): PandaClient {
  const headers = { accept: 'application/json', ...(origin !== undefined && { origin }) };

  const ask = async (request: FrameworkRequest): Promise<Envelope> => {
    const answer = objectOf(textOfAnswer(await http.send(request)));
    const { success, message, data } = {
      success: answer['success'],
      message: answer['message'],
      data: answer['data'],
    };
    if (typeof success !== 'boolean' || !('data' in answer))
      throw new CoPilotError('UNREACHABLE', "PanDA's answer is no envelope of its API v1");
    return { success, message: typeof message === 'string' ? message : '', data };
  };
  const post = (path: string, body: object): Promise<Envelope> =>
    ask({
      method: 'POST',
      path: `/api/v1/${path}`,
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  const get = (path: string, query: string): Promise<Envelope> =>
    ask({
      method: 'GET',
      path: `/api/v1/${path}${query}`,
      headers: { ...headers, 'content-type': 'application/json' },
    });

  const updateOne = async (update: JobUpdate): Promise<Heard> =>
    heardIn(await post('pilot/update_job', argumentsOf(update, scheduler)));

  return {
    async identity() {
      const { success, message, data } = await get('system/get_user_attributes', '');
      if (!success) throw refusal(message);
      return identityOf(data);
    },
    async acquire(site, count) {
      const { success, message, data } = await post('pilot/acquire_jobs', {
        site_name: site,
        n_jobs: count,
        prod_source_label: label,
        scheduler_id: scheduler,
      });
      if (!success && message === NO_JOBS) return [];
      if (!success) throw refusal(message);
      const jobs = isFields(data) && data['StatusCode'] === 0 ? data['jobs'] : undefined;
      if (isList(jobs)) return jobs.slice(0, count);
      throw new CoPilotError('UNREACHABLE', 'PanDA says that it gives jobs, and gives none');
    },
    async update(updates) {
      const [only, ...more] = updates;
      if (only === undefined) return [];
      if (more.length === 0) return [await updateOne(only)];
      const { success, data } = await post('pilot/update_jobs_bulk', {
        job_list: updates.map((update) => argumentsOf(update, scheduler)),
      });
      if (success && isList(data) && data.length === updates.length) return data.map(heardIn);
      // An exception on one job discards the answers to all, though earlier ones were heard: each is said again by itself.
      const heard: Heard[] = [];
      for (const update of updates) heard.push(await updateOne(update));
      return heard;
    },
    async status(ids) {
      const { success, message, data } = await get(
        'pilot/get_job_status',
        `?${ids.map((id) => `job_ids=${id}`).join('&')}`,
      );
      if (!success || !isList(data)) throw refusal(message);
      return ids.map((id) => statusIn(data, id));
    },
    async resourceTypes() {
      const { success, message, data } = await get('metaconfig/get_resource_types', '');
      if (!success) throw refusal(message);
      return jsonOf(data);
    },
    async takeRanges(job, count) {
      const { success, message, data } = await post('event/acquire_event_ranges', {
        job_id: job.id,
        jobset_id: job.jobset,
        ...(job.task !== undefined && { task_id: job.task }),
        n_ranges: count,
      });
      if (!success) throw refusal(message);
      return rangesOf(data);
    },
    finishRanges: (job, ranges) => finishRanges(job, ranges),
  };

  /**
   * The server of today answers 500 to every update of ranges, after it made it: it is never made again for that, but the ranges are
   * looked at.
   */
  async function finishRanges(job: EventJob, ranges: readonly string[]): Promise<ReadonlySet<string>> {
    const items = ranges.map((eventRangeID) => ({ eventRangeID, eventStatus: 'finished' }));
    try {
      const { success, data } = await post('event/update_event_ranges', {
        event_ranges: JSON.stringify(items),
        version: 0,
      });
      const returns = success && isFields(data) ? data['Returns'] : undefined;
      if (isList(returns) && returns.length === ranges.length)
        return new Set(ranges.filter((_range, at) => returns[at] === true));
    } catch (caught) {
      if (!(caught instanceof CoPilotError) || caught.code === 'NOT_AUTHORIZED') throw caught;
    }
    return finishedRanges(job, ranges);
  }

  async function finishedRanges(job: EventJob, ranges: readonly string[]): Promise<ReadonlySet<string>> {
    const pairs = JSON.stringify([{ task_id: job.task ?? 0, job_id: job.id }]);
    const { success, message, data } = await get(
      'event/get_event_range_statuses',
      `?job_task_ids=${encodeURIComponent(pairs)}`,
    );
    if (!success || !isFields(data)) throw refusal(message);
    const found = data[String(job.id)];
    return new Set(ranges.filter((range) => isFields(found) && isFinished(found[range])));
  }
}

/** By name, or by number (3, and 6 and 9 beyond it), as PanDA's releases have it. */
function isFinished(said: unknown): boolean {
  const status = isFields(said) ? said['status'] : undefined;
  return ['finished', 'done', 'merged', 3, 6, 9].some((end) => end === status);
}

function refusal(message: string): CoPilotError {
  const code = ROLE.test(message) ? 'NOT_AUTHORIZED' : 'UNREACHABLE';
  return new CoPilotError(code, `PanDA says: ${shown(message)}`);
}

/** Both `success` and the data's StatusCode count. */
function heardIn(answer: unknown): Heard {
  if (!isFields(answer) || typeof answer['success'] !== 'boolean')
    return { kind: 'not-heard', why: 'PanDA did not answer the update' };
  const { data, message } = { data: answer['data'], message: answer['message'] };
  if (!answer['success']) return { kind: 'not-heard', why: `PanDA says: ${shown(String(message))}` };
  return isFields(data) ? heardOf(data) : { kind: 'not-heard', why: 'PanDA answered no data to the update' };
}

function identityOf(data: unknown): Identity {
  if (!isFields(data)) throw new CoPilotError('UNREACHABLE', 'PanDA does not say who we are');
  const { user_dn_raw: name, is_production_user: isProduction }: Fields = data;
  return {
    kind: 'known',
    name: typeof name === 'string' ? shown(name) : '',
    isProduction: isProduction === true,
  };
}

function statusIn(data: readonly unknown[], id: number): JobStatus {
  const found = data.find((entry) => isFields(entry) && entry['job_id'] === id);
  const { status, attempt_number: attempt }: Fields = isFields(found) ? found : {};
  if (typeof status !== 'string' || typeof attempt !== 'number')
    throw new CoPilotError('UNREACHABLE', `PanDA does not say where job ${id} stands`);
  return { id, status, attempt };
}

/** The arguments of `update_job`. Ints are ints: a float where an int belongs is refused. */
function argumentsOf(update: JobUpdate, scheduler: string): object {
  const { outcome, report, log, cpuSeconds, maxMemoryKiB, events, endMs } = update;
  return {
    job_id: update.id,
    job_status: update.status,
    attempt_nr: update.attempt,
    site_name: update.site,
    node: update.node,
    scheduler_id: scheduler,
    ...(outcome && {
      pilot_error_code: outcome.pilotErrorCode,
      pilot_error_diag: outcome.pilotErrorDiag,
      trans_exit_code: outcome.transExitCode,
    }),
    ...(report !== undefined && { job_output_report: report }),
    ...(log !== undefined && { pilot_log: log }),
    ...(cpuSeconds !== undefined && {
      cpu_consumption_time: Math.round(cpuSeconds),
      cpu_consumption_unit: 's',
    }),
    ...(maxMemoryKiB !== undefined && { max_rss: Math.round(maxMemoryKiB) }),
    ...(events !== undefined && { n_events: events }),
    ...(endMs !== undefined && { end_time: timeText(endMs) }),
  };
}
