import { answerBare, answerLegacy, type HttpAnswer } from './answers.ts';
import { type Caller, hasLegacyRole } from './callers.ts';
import { labelsFor, PILOT_STATES } from './job-table.ts';
import { type Json, urlEncode } from './python-values.ts';
import type { PandaServerState } from './server-state.ts';

/** Everything is text here: booleans of JSON come as `True` and `False`. */
export type Fields = Readonly<Record<string, string>>;

export interface LegacyRequest {
  readonly name: string;
  readonly caller: Caller;
  readonly fields: Fields;
  readonly accept: string;
}

type Method = (state: PandaServerState, request: LegacyRequest) => HttpAnswer;

const ROLE = 60;
const PERMISSION = 70;
const NO_JOBS = 20;
const INVALID = 50;

/** Undefined: no such method, which is answered 403. */
export function answerOfLegacy(state: PandaServerState, request: LegacyRequest): HttpAnswer | undefined {
  return METHODS[request.name]?.(state, request);
}

const METHODS: Readonly<Record<string, Method>> = {
  isAlive: () => answerBare('alive=yes'),
  getJob,
  updateJob: (state, request) => answerLegacy(update(state, request, request.fields), request.accept),
  updateJobsInBulk,
  getStatus,
  getEventRanges: (state, { fields, accept }) => {
    const ranges = state.table.events.acquire(Number(fields['pandaID']), Number(fields['nRanges'] ?? 10));
    const value: Json = accept.includes('json') ? ranges : JSON.stringify(ranges);
    return answerLegacy({ StatusCode: 0, eventRanges: value }, accept);
  },
  updateEventRange: (state, { fields, accept }) => {
    const stored = state.updateRange(fields['eventRangeID'] ?? '', fields['eventStatus'] ?? '');
    return answerLegacy({ StatusCode: stored === false ? 30 : 0, Command: 'NULL' }, accept);
  },
  updateEventRanges: (state, { fields, accept }) => {
    const { returns, commands } = state.updateRanges(fields['eventRanges'] ?? '[]');
    const isJson = accept.includes('json');
    return answerLegacy(
      {
        StatusCode: 0,
        Returns: isJson ? returns : JSON.stringify(returns),
        Command: isJson ? commands : JSON.stringify(commands),
      },
      accept,
    );
  },
  checkEventsAvailability: (state, { fields, accept }) =>
    answerLegacy(
      { StatusCode: 0, nEventRanges: state.table.events.available(Number(fields['pandaID'])) },
      accept,
    ),
  get_token_key: (state, { caller, fields, accept }) =>
    state.mayFetchKeys(caller)
      ? answerLegacy({ StatusCode: 0, tokenKey: state.keys.issue(fields['client_name'] ?? '') }, accept)
      : answerLegacy({ StatusCode: PERMISSION }, accept),
  get_access_token: accessToken,
  updateWorkerPilotStatus: (_state, { fields, accept }) =>
    answerLegacy({ StatusCode: ['started', 'finished'].includes(fields['status'] ?? '') ? 0 : 30 }, accept),
  getResourceTypes: (_state, { accept }) =>
    answerLegacy(
      { StatusCode: 0, ResourceTypes: [{ resource_name: 'SCORE', mincore: 1, maxcore: 1 }] },
      accept,
    ),
};

function getJob(state: PandaServerState, { caller, fields, accept }: LegacyRequest): HttpAnswer {
  if (!hasLegacyRole(caller, state.callers) && fields['prodSourceLabel'] !== 'user')
    return answerLegacy({ StatusCode: ROLE, errorDialog: 'no role' }, accept);
  const many = fields['nJobs'];
  const jobs = state.table.acquire({
    site: fields['siteName'] ?? '',
    count: many === undefined ? 1 : Number(many),
    labels: labelsFor(fields['prodSourceLabel'] ?? null, {
      hasElement: fields['computingElement'] !== undefined,
    }),
    user: null,
    memoryMB: Math.trunc(Number(fields['mem'] ?? 0)) || 0,
    diskMB: Math.trunc(Number(fields['diskSpace'] ?? 0)) || 0,
    remainingSeconds: Number(fields['remaining_time'] ?? 0) || 0,
  });
  const [first] = jobs;
  if (first === undefined) {
    const dialog = accept.includes('json') ? { errorDialog: 'No jobs in PanDA' } : {};
    return answerLegacy({ StatusCode: NO_JOBS, ...dialog }, accept);
  }
  if (many === undefined) return answerLegacy({ StatusCode: 0, ...first }, accept);
  const list = jobs.map((job) => ({ StatusCode: 0, ...job }));
  return answerLegacy({ StatusCode: 0, jobs: accept.includes('json') ? list : JSON.stringify(list) }, accept);
}

const TWINS: Readonly<Record<string, string>> = {
  transExitCode: 'trans_exit_code',
  pilotErrorCode: 'pilot_error_code',
  pilotErrorDiag: 'pilot_error_diag',
  exeErrorCode: 'exe_error_code',
  exeErrorDiag: 'exe_error_diag',
  startTime: 'start_time',
  endTime: 'end_time',
  node: 'node',
  batchID: 'batch_id',
  coreCount: 'core_count',
  cpuConsumptionTime: 'cpu_consumption_time',
  nEvents: 'n_events',
  pilotTiming: 'pilot_timing',
  pilotID: 'pilot_id',
  pilotLog: 'pilot_log',
  maxRSS: 'max_rss',
};

/** An invalid state or no job is answered 0, and nothing is changed. */
function update(state: PandaServerState, request: LegacyRequest, fields: Fields): Record<string, Json> {
  if (!hasLegacyRole(request.caller, state.callers)) return { StatusCode: ROLE };
  const { jobId, state: status = '', attemptNr, xml = '' } = fields;
  if (jobId === undefined) return { StatusCode: INVALID };
  if (jobId === 'NULL' || !PILOT_STATES.includes(status)) return { StatusCode: 0 };
  const code = state.faultCode();
  if (code !== 0) return { StatusCode: code };
  const kept = Object.entries(fields).flatMap(([name, value]) =>
    TWINS[name] === undefined ? [] : [[TWINS[name], /Code$/u.test(name) ? Number(value) : value] as const],
  );
  const answer = state.update(Number(jobId), {
    status,
    attempt: attemptNr === undefined || attemptNr === '' ? undefined : Number(attemptNr),
    report: xml,
    fields: Object.fromEntries(kept),
  });
  return { StatusCode: 0, ...answer };
}

function updateJobsInBulk(state: PandaServerState, request: LegacyRequest): HttpAnswer {
  const items = JSON.parse(request.fields['jobList'] ?? '[]') as readonly Record<string, Json>[];
  const answers = items.map((item) => {
    const fields = Object.fromEntries(
      Object.entries(item).map(([name, value]) => [
        name,
        typeof value === 'string' ? value : JSON.stringify(value),
      ]),
    );
    const answer = update(state, request, fields);
    return request.accept.includes('json') ? answer : urlEncode(answer);
  });
  return { status: 200, type: 'application/json', body: JSON.stringify([true, answers]) };
}

function getStatus(state: PandaServerState, { fields, accept }: LegacyRequest): HttpAnswer {
  const jobs = (fields['ids'] ?? '').split(/[ +]/u).map((id) => state.table.job(Number(id)));
  return answerLegacy(
    {
      StatusCode: 0,
      status: jobs.map((job) => job?.state ?? 'notfound').join('+'),
      attemptNr: jobs.map((job) => job?.attempt ?? 0).join('+'),
    },
    accept,
  );
}

/** The token stands in `userProxy`; the answer is JSON whatever was asked, and the pilot reads it as a Python literal. */
function accessToken(state: PandaServerState, { caller, fields }: LegacyRequest): HttpAnswer {
  const client = fields['client_name'] ?? '';
  const isAllowed = state.mayUseKeys(caller) && state.keys.isOf(client, fields['token_key'] ?? '');
  const answer = isAllowed
    ? { StatusCode: 0, errorDialog: '', userProxy: state.sharedToken(client) }
    : { StatusCode: caller.dn === '' ? PERMISSION : INVALID, errorDialog: 'invalid token key' };
  return {
    status: 200,
    type: 'application/json',
    body: JSON.stringify(answer).replaceAll('":', '": ').replaceAll(',"', ', "'),
  };
}
