import { bindArguments } from './binding.ts';
import { type Caller, hasProductionRole } from './callers.ts';
import { envelope } from './answers.ts';
import type { PandaServerState } from './server-state.ts';
import { isList, type Json, parsePython, type PythonValue } from './python-values.ts';
import { type Signature, SIGNATURES, UPDATE_JOB_SIGNATURE } from './signatures.ts';
import { submittedJobs } from './submission.ts';
import { labelsFor, PILOT_STATES } from './job-table.ts';

export interface V1Request {
  /** `pilot/update_job` */
  readonly name: string;
  readonly method: string;
  readonly caller: Caller;
  readonly given: Readonly<Record<string, PythonValue>>;
}

/** The server answers 500 with this text. */
export class Uncaught extends Error {}

type Values = Readonly<Record<string, Json>>;
type Envelope = Record<string, Json>;

const INVALID = 50;

/** Undefined: no such method, which is answered 403. */
export function answerOfV1(state: PandaServerState, request: V1Request): Envelope | undefined {
  const signature = SIGNATURES[request.name];
  if (signature === undefined) return undefined;
  const refusal = refusalOf(state, signature, request);
  if (refusal !== undefined) return envelope(false, refusal);
  const bound = bindArguments(signature, request.given);
  if (bound.kind === 'refused') return envelope(false, bound.message);
  return METHODS[request.name]?.(state, bound.values, request.caller) ?? envelope(true);
}

/** The checks before the arguments', in the server's order. */
function refusalOf(state: PandaServerState, signature: Signature, request: V1Request): string | undefined {
  const { caller, method } = request;
  if (signature.isSecure && (caller.dn === '' || caller.dn.includes('/CN=limited proxy')))
    return 'SSL secure connection is required';
  if (signature.needsProduction && !hasProductionRole(caller, state.callers))
    return 'production or pilot role required';
  if (method !== signature.method) return `expecting ${signature.method}, received ${method}`;
  return undefined;
}

type Method = (state: PandaServerState, values: Values, caller: Caller) => Envelope;

const METHODS: Readonly<Record<string, Method>> = {
  'pilot/acquire_jobs': acquireJobs,
  'pilot/get_job_status': jobStatus,
  'job/get_status': jobStatus,
  'pilot/update_job': updateJob,
  'pilot/update_jobs_bulk': updateJobs,
  'pilot/update_worker_status': (_state, { status }) =>
    status === 'started' || status === 'finished'
      ? envelope(true)
      : envelope(false, "Invalid worker state. The worker state has to be in ('started', 'finished')"),
  'event/acquire_event_ranges': (state, values) =>
    envelope(true, '', state.table.events.acquire(Number(values['job_id']), Number(values['n_ranges']))),
  'event/update_event_ranges': updateRanges,
  'event/update_single_event_range': (state, values) => {
    const stored = state.updateRange(text(values['event_range_id']), text(values['event_range_status']));
    return stored === false
      ? envelope(false, 'database error in the PanDA server')
      : envelope(true, '', { Command: null });
  },
  'event/get_available_event_range_count': (state, values) =>
    envelope(true, '', state.table.events.available(Number(values['job_id']))),
  'event/get_event_range_statuses': rangeStatuses,
  'creds/get_token_key': (state, values, caller) => {
    if (!state.mayFetchKeys(caller)) return envelope(false, 'permission denied');
    return envelope(true, '', { tokenKey: state.keys.issue(text(values['client_name'])) });
  },
  'creds/get_access_token': (state, values, caller) => {
    const client = text(values['client_name']);
    const isAllowed = state.mayUseKeys(caller) && state.keys.isOf(client, text(values['token_key']));
    return isAllowed
      ? envelope(true, '', { user_proxy: state.sharedToken(client) })
      : envelope(false, 'permission denied');
  },
  'job/submit': submit,
  'job/kill': (state, values) =>
    envelope(
      true,
      '',
      list(values['job_ids']).map((id) => state.table.kill(Number(id))),
    ),
  'job/set_command': (state, values) =>
    envelope(state.table.setCommand(Number(values['job_id']), text(values['command']))),
  'system/get_user_attributes': userAttributes,
  'metaconfig/get_resource_types': () =>
    envelope(true, '', [
      { resource_name: 'SCORE', mincore: 1, maxcore: 1 },
      { resource_name: 'MCORE', mincore: 2, maxcore: null },
    ]),
};

function acquireJobs(state: PandaServerState, values: Values, caller: Caller): Envelope {
  const isProduction = hasProductionRole(caller, state.callers);
  const label = typeof values['prod_source_label'] === 'string' ? values['prod_source_label'] : null;
  if (!isProduction && label !== 'user')
    return envelope(false, 'no production/pilot role in VOMS FQANs or non pilot owner');
  const owner = typeof values['prod_user_id'] === 'string' ? values['prod_user_id'] : null;
  if (state.isWrong && state.faults.lies) return envelope(true, '', { StatusCode: 0, jobs: [] });
  const jobs = state.table.acquire({
    site: text(values['site_name']),
    count: Number(values['n_jobs']),
    labels: labelsFor(label, { hasElement: values['computing_element'] !== null }),
    user: isProduction ? owner : caller.dn,
    memoryMB: Number(values['memory'] ?? 0),
    diskMB: Number(values['disk_space'] ?? 0),
    remainingSeconds: Number(values['remaining_time'] ?? 0),
  });
  if (jobs.length === 0) return envelope(false, 'No jobs in PanDA');
  const key = values['get_proxy_key'] !== null && isProduction;
  const described = state.inOrder(jobs).map((job) => ({
    StatusCode: 0,
    ...job,
    ...(key && { credname: 'cp.robot', myproxy: 'myproxy.example.org' }),
  }));
  return envelope(true, '', { StatusCode: 0, jobs: described });
}

function jobStatus(state: PandaServerState, values: Values): Envelope {
  const shift = state.isWrong && state.faults.isOther ? 1 : 0;
  const found = list(values['job_ids']).map((id) => {
    const job = state.table.job(Number(id));
    return job === undefined
      ? { job_id: id, status: 'not found', attempt_number: 0 }
      : { job_id: job.id + shift, status: job.state, attempt_number: job.attempt };
  });
  return envelope(true, '', state.inOrder(found));
}

function updateJob(state: PandaServerState, values: Values): Envelope {
  const {
    job_id: id,
    job_status: status,
    attempt_nr: attempt,
    job_output_report: report,
    ...fields
  } = values;
  if (typeof status !== 'string' || !PILOT_STATES.includes(status))
    return envelope(false, `Invalid job status: ${text(status)}`, { StatusCode: INVALID });
  const code = state.faultCode();
  if (code !== 0) return envelope(true, code === 10 ? 'Timed out' : 'Database error', { StatusCode: code });
  const answer = state.update(Number(id), {
    status,
    attempt: typeof attempt === 'number' ? attempt : undefined,
    report: text(report),
    fields,
  });
  return envelope(true, '', { StatusCode: 0, ...answer });
}

/** An exception on one job discards the answers to all, and what was updated before it stays updated. */
function updateJobs(state: PandaServerState, values: Values): Envelope {
  const answers: Json[] = [];
  for (const item of list(values['job_list'])) {
    const given = typeof item === 'object' && item !== null && !isList(item) ? item : {};
    for (const name of ['job_id', 'job_status'])
      if (!(name in given)) return envelope(false, `failed with KeyError '${name}'`, []);
    const bound = bindArguments(UPDATE_JOB_SIGNATURE, given as Record<string, PythonValue>);
    if (bound.kind === 'refused' && bound.message.startsWith('Argument error'))
      return envelope(false, `failed with TypeError ${bound.message.slice('Argument error: '.length)}`, []);
    answers.push(bound.kind === 'refused' ? envelope(false, bound.message) : updateJob(state, bound.values));
  }
  return envelope(true, '', answers);
}

function updateRanges(state: PandaServerState, values: Values): Envelope {
  const { returns, commands } = state.updateRanges(text(values['event_ranges']));
  // The ranges are updated by now; the answer is built as a set, and sets hold no lists.
  if (state.faults.eventRangesFail) throw new Uncaught("unhashable type: 'list'");
  return envelope(true, '', { Returns: returns, Commands: commands });
}

function rangeStatuses(state: PandaServerState, values: Values): Envelope {
  const asked = parsePython(text(values['job_task_ids']));
  const found: Record<string, Json> = {};
  for (const pair of isList<PythonValue>(asked) ? asked : []) {
    const id = Number((pair as { readonly job_id?: unknown }).job_id);
    const ranges = state.table.events.of(id);
    found[String(id)] = Object.fromEntries(
      ranges.map((range) => [range.id, { status: range.state, error: null, dialog: null }]),
    );
  }
  return envelope(true, '', found);
}

function submit(state: PandaServerState, values: Values): Envelope {
  const jobs = submittedJobs(text(values['jobs'])).map((wanted) => state.table.submit(wanted));
  return envelope(
    true,
    '',
    jobs.map((job) => [job.id, 11, { jobsetID: 88 }]),
  );
}

function userAttributes(state: PandaServerState, _values: Values, caller: Caller): Envelope {
  const isProduction = hasProductionRole(caller, state.callers);
  const said = {
    user_dn_raw: caller.dn,
    user_dn_clean: caller.dn.split('/CN=').find((part) => part !== '') ?? caller.dn,
    fqans: caller.fqans,
    is_production_user: isProduction,
    production_working_groups: [],
    primary_working_group: null,
  };
  const lines = [
    `User DN (raw): ${caller.dn}`,
    `FQANs: ${caller.fqans.join(',')}`,
    `Production user: ${isProduction ? 'True' : 'False'}`,
  ];
  return envelope(true, `${lines.join('\n')}\n`, said);
}

function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

function list(value: Json | undefined): readonly Json[] {
  return value !== undefined && isList(value) ? value : [];
}
