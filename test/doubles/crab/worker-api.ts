import type { Form } from './form.ts';
import { RestError } from './rest-error.ts';
import type { TaskRow, TaskTable } from './task-table.ts';

const STATUS = /^[A-Za-z_]{1,20}$/;
const TASK = /^[A-Za-z0-9_:-]{1,232}$/;
const WORKER = /^[A-Za-z0-9._%-]{1,100}$/;
/** As the server's pattern for messages: any lines, 1,100 characters. */
const MESSAGE = /^.{0,1100}$/s;

/** `workflowdb`, POST: what a TaskWorker does to tasks. */
export function postWorkflowDb(tasks: TaskTable, form: Form, nowMs: number): readonly unknown[] {
  const resource = form.optional('subresource') ?? 'state';
  const workflow = form.optional('workflow', TASK) ?? '';
  const status = form.optional('status', STATUS)?.toUpperCase();
  const command = form.optional('command', STATUS)?.toUpperCase();
  const failure = form.optional('failure', MESSAGE) ?? null;
  const clusterId = form.optional('clusterid') ?? '';
  const process = {
    workerName: form.optional('workername', WORKER),
    getStatus: form.optional('getstatus', STATUS),
    limit: form.optionalNumber('limit'),
  };
  form.end();
  const seconds = String(Math.floor(nowMs / 1000));
  switch (resource) {
    case 'state':
      tasks.update(workflow, { tm_task_status: status ?? null, tm_task_command: command ?? null });
      return [];
    case 'start':
      tasks.update(workflow, { tm_task_status: status ?? null, tm_start_injection: seconds });
      return [];
    case 'failure':
      tasks.update(workflow, {
        tm_task_status: status ?? null,
        tm_end_injection: seconds,
        tm_task_failure: failure,
      });
      return [];
    case 'success':
      tasks.update(workflow, { tm_task_status: status ?? null, tm_end_injection: seconds });
      tasks.extra(workflow).clusterId = clusterId;
      return [];
    case 'process': {
      const { workerName = '', getStatus = '', limit = 0 } = process;
      // Names the server never forwards to the database in the wrong case.
      tasks.process(workerName, getStatus, limit, status ?? '');
      return [];
    }
    default:
      throw new RestError('InvalidParameter', 'Subresource of workflowdb has not been found');
  }
}

/** `workflowdb`, GET: tasks of a worker, as dictionaries. */
export function getWorkflowDb(tasks: TaskTable, form: Form): readonly unknown[] {
  const workerName = form.text('workername', WORKER);
  const getStatus = form.text('getstatus', STATUS);
  const limit = form.optionalNumber('limit') ?? 0;
  const months = form.optionalNumber('months') ?? 1;
  form.end();
  return tasks.select(workerName, getStatus, limit, months).map(withResubmission);
}

const RESUBMIT = {
  resubmit_publication: 'resubmit_publication',
  resubmit_jobids: 'resubmit_jobids',
  resubmit_site_whitelist: 'site_whitelist',
  resubmit_site_blacklist: 'site_blacklist',
  resubmit_maxjobruntime: 'maxjobruntime',
  resubmit_maxmemory: 'maxmemory',
  resubmit_priority: 'priority',
} as const;

/** What the last resubmission asked for stands beside the columns, as the server adds it. */
function withResubmission(row: TaskRow): Record<string, unknown> {
  const given = row['tm_arguments'] as Readonly<Record<string, unknown>>;
  const added = Object.entries(RESUBMIT).map(([key, from]) => [key, given[from] ?? null] as const);
  return { ...row, ...Object.fromEntries(added) };
}
