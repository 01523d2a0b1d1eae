import { gzipSync } from 'node:zlib';
import { CoPilotError } from '../../../protocol/errors.ts';
import { parseJson } from '../../../protocol/parse-json.ts';
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
import type { ClientOptions } from './client-v1.ts';
import { rangesOf } from './event-range.ts';
import type { Heard, JobStatus, JobUpdate, PandaClient } from './panda-client.ts';

const NO_JOBS = 20;
const ROLE = 60;

/** The calls in the API that PanDA had before: `/server/panda/METHOD`, JSON that is always gzipped. It binds no types and names no role. */
export function createLegacyClient({ http, origin, scheduler, label }: ClientOptions): PandaClient {
  const from = origin === undefined ? {} : { origin };
  const call = async (method: string, fields: object): Promise<string> => {
    const answer = await http.send({
      method: 'POST',
      path: `/server/panda/${method}`,
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        ...from,
      },
      body: gzipSync(JSON.stringify(fields)),
    });
    return textOfAnswer(answer);
  };
  const ask = async (method: string, fields: object): Promise<Fields> => objectOf(await call(method, fields));
  const updateOne = async (update: JobUpdate): Promise<Heard> =>
    heardOf(await ask('updateJob', fieldsOf(update, scheduler)));

  return {
    async identity() {
      const text = textOfAnswer(
        await http.send({ method: 'GET', path: '/server/panda/isAlive', headers: from }),
      );
      if (!text.includes('alive')) throw new CoPilotError('UNREACHABLE', `PanDA answers ${shown(text)}`);
      return { kind: 'untold' };
    },
    async acquire(site, count) {
      const answer = await ask('getJob', {
        siteName: site,
        nJobs: String(count),
        prodSourceLabel: label,
        schedulerID: scheduler,
      });
      const { StatusCode: code, jobs } = answer;
      if (code === NO_JOBS) return [];
      if (code === ROLE) throw new CoPilotError('NOT_AUTHORIZED', 'PanDA refuses our role (60)');
      const list = typeof jobs === 'string' ? parseJson(jobs) : jobs;
      if (code === 0 && isList(list)) return list.slice(0, count);
      throw new CoPilotError('UNREACHABLE', `PanDA gives no jobs: StatusCode ${shown(String(code))}`);
    },
    async update(updates) {
      const [only, ...more] = updates;
      if (only === undefined) return [];
      if (more.length === 0) return [await updateOne(only)];
      const jobList = JSON.stringify(updates.map((update) => fieldsOf(update, scheduler)));
      const answer = parseJson(await call('updateJobsInBulk', { jobList }));
      const replies = isList(answer) && answer[0] === true ? answer[1] : undefined;
      if (isList(replies) && replies.length === updates.length) return replies.map(heardIn);
      const heard: Heard[] = [];
      for (const update of updates) heard.push(await updateOne(update));
      return heard;
    },
    async status(ids) {
      const { status, attemptNr } = await ask('getStatus', { ids: ids.join(' ') });
      const states = String(status).split('+');
      const attempts = String(attemptNr).split('+');
      if (states.length !== ids.length || attempts.length !== ids.length)
        throw new CoPilotError('UNREACHABLE', 'PanDA does not say where the jobs stand');
      return ids.map((id, at) => statusOf(id, states[at], attempts[at]));
    },
    async resourceTypes() {
      const { ResourceTypes: types } = await ask('getResourceTypes', {});
      return jsonOf(types);
    },
    async takeRanges(job, count) {
      const answer = await ask('getEventRanges', {
        pandaID: String(job.id),
        jobsetID: String(job.jobset),
        ...(job.task !== undefined && { taskID: String(job.task) }),
        nRanges: String(count),
      });
      if (answer['StatusCode'] !== 0) throw new CoPilotError('UNREACHABLE', 'PanDA gives no event ranges');
      return rangesOf(answer['eventRanges']);
    },
    async finishRanges(_job, ranges) {
      const items = ranges.map((eventRangeID) => ({ eventRangeID, eventStatus: 'finished' }));
      const answer = await ask('updateEventRanges', { eventRanges: JSON.stringify(items), version: '0' });
      const returns =
        typeof answer['Returns'] === 'string' ? parseJson(answer['Returns']) : answer['Returns'];
      if (answer['StatusCode'] !== 0 || !isList(returns) || returns.length !== ranges.length)
        throw new CoPilotError('UNREACHABLE', 'PanDA does not say what became of the event ranges');
      return new Set(ranges.filter((_range, at) => returns[at] === true));
    },
  };
}

/** Each reply of a bulk update comes in its own encoding: an object, JSON in an object or a text, or `k=v&k=v`. */
function heardIn(reply: unknown): Heard {
  if (isFields(reply)) {
    const { content } = reply;
    return typeof content === 'string' ? heardIn(content) : heardOf(reply);
  }
  if (typeof reply !== 'string') return { kind: 'not-heard', why: 'PanDA did not answer the update' };
  const value = parseJson(reply);
  return heardOf(isFields(value) ? value : Object.fromEntries(new URLSearchParams(reply)));
}

function statusOf(id: number, status = '', attempt = ''): JobStatus {
  return { id, status: status === 'notfound' ? 'not found' : status, attempt: Number(attempt) };
}

/** The same as in API v1, in camel case; every value is a text. */
function fieldsOf(update: JobUpdate, scheduler: string): Readonly<Record<string, string>> {
  const { outcome, report, log, cpuSeconds, maxMemoryKiB, events, endMs } = update;
  return {
    jobId: String(update.id),
    state: update.status,
    attemptNr: String(update.attempt),
    siteName: update.site,
    node: update.node,
    schedulerID: scheduler,
    ...(outcome && {
      pilotErrorCode: String(outcome.pilotErrorCode),
      pilotErrorDiag: outcome.pilotErrorDiag,
      transExitCode: String(outcome.transExitCode),
    }),
    ...(report !== undefined && { xml: report }),
    ...(log !== undefined && { pilotLog: log }),
    ...(cpuSeconds !== undefined && {
      cpuConsumptionTime: String(Math.round(cpuSeconds)),
      cpuConsumptionUnit: 's',
    }),
    ...(maxMemoryKiB !== undefined && { maxRSS: String(Math.round(maxMemoryKiB)) }),
    ...(events !== undefined && { nEvents: String(events) }),
    ...(endMs !== undefined && { endTime: timeText(endMs) }),
  };
}
