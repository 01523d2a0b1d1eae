import type { Form } from './form.ts';
import { RestError } from './rest-error.ts';
import type { TaskTable } from './task-table.ts';

const TASK = /^[A-Za-z0-9_:-]{1,232}$/;
const SITE = /^T[0-3]_[A-Z]{2}_[A-Za-z0-9_*]{1,60}$/;
const JOB = /^[0-9]{1,5}(?:-[0-9]{1,5})?$/;
const ALGORITHMS = ['Automatic', 'FileBased', 'EventBased', 'LumiBased', 'EventAwareLumiBased'];
const ARGUMENT: Readonly<Record<string, string>> = {
  Automatic: 'minutes_per_job',
  FileBased: 'files_per_job',
  EventBased: 'events_per_job',
  LumiBased: 'lumis_per_job',
  EventAwareLumiBased: 'events_per_job',
};

export interface Submitter {
  readonly login: string;
  readonly dn: string;
  readonly address: string;
  readonly nowMs: number;
}

/** `workflow`, PUT: a user submits a task; answers its name. */
export function putWorkflow(tasks: TaskTable, form: Form, submitter: Submitter): readonly unknown[] {
  const request = form.text('workflow', /^[A-Za-z0-9_-]{1,100}$/);
  const algorithm = form.text('splitalgo');
  if (!ALGORITHMS.includes(algorithm))
    throw new RestError('InvalidParameter', "Incorrect 'splitalgo' parameter");
  const runs = form.list('runs');
  const lumis = form.list('lumis');
  if (runs.length !== lumis.length)
    throw new RestError('InvalidParameter', 'The number of runs and the number of lumis lists are different');
  const publication = form.number('publication');
  const columns = {
    tm_job_type: form.text('jobtype', /^(?:Analysis|PrivateMC)$/),
    tm_job_sw: form.text('jobsw', /^CMSSW(?:_[0-9]+){3}(?:_[A-Za-z0-9_]+)?$/),
    tm_job_arch: form.text('jobarch', /^[a-z0-9]+_[a-z0-9]+_[a-z0-9]+(?:_[a-z0-9]+)?$/),
    tm_split_algo: algorithm,
    tm_split_args: {
      [ARGUMENT[algorithm] ?? '']: form.number('algoargs'),
      halt_job_on_file_boundaries: false,
      splitOnRun: false,
    },
    tm_totalunits: form.optionalNumber('totalunits') ?? 0,
    tm_user_sandbox: form.text('cachefilename', /^[A-Za-z0-9._-]{1,160}$/),
    tm_debug_files: form.optional('debugfilename') ?? null,
    tm_output_lfn: form.optional('lfn', /^\/store\/[!-~]{1,400}$/) ?? `/store/user/${submitter.login}/`,
    tm_save_logs: form.number('savelogsflag') === 1 ? 'T' : 'F',
    tm_transfer_outputs: (form.optionalNumber('saveoutput') ?? 1) === 1 ? 'T' : 'F',
    tm_publication: publication === 1 ? 'T' : 'F',
    tm_publish_name: `${form.optional('publishname') ?? request}-00000000000000000000000000000000`,
    tm_primary_dataset: form.text('primarydataset', /^[A-Za-z0-9_-]{1,99}$/),
    tm_asyncdest: form.text('asyncdest', SITE),
    tm_dbs_url: form.text('dbsurl'),
    tm_publish_dbs_url:
      publication === 1 ? form.text('publishdbsurl') : (form.optional('publishdbsurl') ?? ''),
    tm_tfile_outfiles: form.list('tfileoutfiles'),
    tm_edm_outfiles: form.list('edmoutfiles'),
    tm_outfiles: form.list('addoutputfiles'),
    tm_scriptexe: form.optional('scriptexe') ?? null,
    tm_scriptargs: form.list('scriptargs'),
    tm_extrajdl: JSON.stringify(form.list('extrajdl')),
    tm_site_whitelist: sites(form.list('sitewhitelist')),
    tm_site_blacklist: sites(form.list('siteblacklist')),
    tm_maxjobruntime: form.optionalNumber('maxjobruntime') ?? 1250,
    tm_maxmemory: form.optionalNumber('maxmemory') ?? 2000,
    tm_numcores: form.optionalNumber('numcores') ?? 1,
    tm_priority: form.optionalNumber('priority') ?? 10,
    tm_events_per_lumi: form.optionalNumber('eventsperlumi') ?? null,
    tm_username: submitter.login,
    tm_user_dn: submitter.dn,
    tm_submitter_ip_addr: submitter.address,
  };
  form.number('nonprodsw');
  form.optional('inputdata');
  form.end();
  const name = `${stamp(submitter.nowMs)}:${submitter.login}_${request}`;
  tasks.insert(name, columns);
  return [{ RequestName: name }];
}

function sites(names: readonly string[]): readonly string[] {
  if (names.every((name) => SITE.test(name))) return names;
  throw new RestError('InvalidParameter', 'Incorrect site name');
}

/** `<yymmdd>_<HHMMSS>` in UTC. */
function stamp(nowMs: number): string {
  const text = new Date(nowMs).toISOString().replace(/[-:]/g, '');
  return `${text.slice(2, 8)}_${text.slice(9, 15)}`;
}

const RESUBMITTABLE = ['SUBMITTED', 'KILLED', 'KILLFAILED', 'RESUBMITFAILED', 'FAILED'];

/** `workflow`, POST: a user wants failed jobs run again. */
export function postWorkflow(tasks: TaskTable, form: Form): readonly unknown[] {
  const workflow = form.text('workflow', TASK);
  const resource = form.text('subresource', /^resubmit2?$/);
  const ids = form.list('jobids');
  const asked = {
    resubmit_jobids: ids.length === 0 ? null : ids,
    maxjobruntime: form.optionalNumber('maxjobruntime') ?? null,
    maxmemory: form.optionalNumber('maxmemory') ?? null,
    priority: form.optionalNumber('priority') ?? null,
  };
  form.end();
  if (!ids.every((id) => JOB.test(id)))
    throw new RestError('InvalidParameter', "Incorrect 'jobids' parameter");
  const row = tasks.get(workflow);
  if (!RESUBMITTABLE.includes(row.tm_task_status))
    throw new RestError('ExecutionError', `a task in ${row.tm_task_status} cannot be resubmitted`);
  tasks.update(workflow, { tm_task_status: 'NEW', tm_task_command: 'RESUBMIT', tm_arguments: asked });
  return [{ result: resource === '' ? '' : 'ok' }];
}

const KILLABLE = ['SUBMITTED', 'KILLFAILED', 'RESUBMITFAILED', 'FAILED', 'KILLED'];

/** `workflow`, DELETE: a user kills a task. */
export function deleteWorkflow(tasks: TaskTable, form: Form): readonly unknown[] {
  const workflow = form.text('workflow', TASK);
  const warning = form.optional('killwarning');
  form.end();
  const row = tasks.get(workflow);
  if (!KILLABLE.includes(row.tm_task_status))
    throw new RestError('ExecutionError', `a task in ${row.tm_task_status} cannot be killed`);
  if (warning !== undefined) tasks.extra(workflow).warnings.push(warning);
  tasks.update(workflow, { tm_task_status: 'NEW', tm_task_command: 'KILL' });
  return [{ result: 'ok' }];
}
