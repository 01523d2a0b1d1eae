import type { Form } from './form.ts';
import { RestError } from './rest-error.ts';
import type { TaskTable } from './task-table.ts';

const TASK = /^[A-Za-z0-9_:-]{1,232}$/;
const MAX_WARNINGS = 10;

/** `task`, GET: of its subresources those that tell of one task. */
export function getTask(tasks: TaskTable, form: Form): readonly unknown[] {
  const resource = form.text('subresource');
  const status = form.optional('taskstatus');
  const workflow =
    resource === 'taskbystatus' ? (form.optional('workflow', TASK) ?? '') : form.text('workflow', TASK);
  form.optional('username');
  form.end();
  switch (resource) {
    case 'status':
    case 'search':
      return [statusOf(tasks, workflow)];
    case 'webdir':
      return [tasks.extra(workflow).webdir];
    case 'taskbystatus':
      return tasks
        .all()
        .filter((row) => row.tm_task_status === status)
        .map((row) => [row.tm_taskname, row.tm_task_status]);
    default:
      throw new RestError('InvalidParameter', 'Subresource of task has not been found');
  }
}

function statusOf(tasks: TaskTable, workflow: string): Record<string, unknown> {
  const row = tasks.get(workflow);
  const extra = tasks.extra(workflow);
  return {
    submissionTime: row['tm_start_time'],
    username: row['tm_username'],
    status: row.tm_task_status,
    DAGstatus: extra.dagStatus,
    command: row.tm_task_command,
    taskFailureMsg: row['tm_task_failure'] ?? '',
    taskWarningMsg: extra.warnings,
    splitting: row['tm_split_algo'],
    numJobs: null,
    schedd: row['tm_schedd'] ?? '',
    taskWorker: row.tw_name,
    webdirPath: extra.webdir,
    clusterid: extra.clusterId,
  };
}

/** `task`, POST. */
export function postTask(tasks: TaskTable, form: Form, isOperator: boolean): readonly unknown[] {
  const resource = form.text('subresource');
  const workflow = form.text('workflow', TASK);
  const extra = tasks.extra(workflow);
  switch (resource) {
    case 'addwarning': {
      const warning = form.text('warning', /^.{0,1100}$/s);
      form.end();
      if (extra.warnings.length >= MAX_WARNINGS) throw new RestError('NotAcceptable', 'too many warnings');
      extra.warnings.push(warning);
      return [];
    }
    case 'deletewarnings':
      form.end();
      extra.warnings = [];
      return [];
    case 'updateschedd':
      tasks.update(workflow, { tm_schedd: form.text('scheddname', /^[A-Za-z0-9._@-]{1,255}$/) });
      form.end();
      return [];
    case 'addwebdir':
      extra.webdir = form.text('webdirurl', /^https?:\/\/[!-~]{1,1000}$/);
      form.end();
      return [];
    case 'addoutputdatasets':
      extra.outputDatasets = form.list('outputdatasets');
      form.end();
      return [];
    case 'edit': {
      if (!isOperator) throw new RestError('Forbidden', 'operators alone edit tasks');
      const column = form.text('column', /^tm_[a-z_]{1,40}$/);
      const value = form.text('value');
      form.end();
      if (column === 'tm_dagman_status') extra.dagStatus = value;
      else tasks.update(workflow, { [column]: value });
      return [];
    }
    default:
      throw new RestError('InvalidParameter', 'Subresource of task has not been found');
  }
}
