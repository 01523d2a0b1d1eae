/** Says where all jobs are, as CRAB's users see them: `node state.ts --url URL`. */
import { parseArgs } from 'node:util';
import { createCrabClient } from './client.ts';

interface JobLine {
  readonly id: string;
  readonly state: string;
  readonly final: boolean;
  readonly ok: boolean;
}

const TASK_STATES = [
  'WAITING',
  'NEW',
  'HOLDING',
  'QUEUED',
  'SUBMITTED',
  'UPLOADED',
  'KILLED',
  'SUBMITFAILED',
  'SUBMITREFUSED',
  'KILLFAILED',
  'RESUBMITFAILED',
];
const TASK_ENDS = ['UPLOADED', 'KILLED', 'SUBMITFAILED', 'SUBMITREFUSED'];
const JOB_ENDS = ['finished', 'failed', 'killed'];

const { values } = parseArgs({ options: { url: { type: 'string' }, directory: { type: 'string' } } });
if (values.url === undefined) throw new Error('--url is needed');
const client = createCrabClient(values.url);

/** Of a task whose jobs nobody publishes the task itself stands in the list. */
async function jobsOf(task: string): Promise<readonly JobLine[]> {
  const { status, webdirPath } = await client.status(task);
  const asTask = { id: task, state: status, final: TASK_ENDS.includes(status), ok: false };
  if (webdirPath === '') return [asTask];
  const response = await fetch(`${webdirPath}/status_cache.json`).catch(() => undefined);
  if (response?.ok !== true) return [asTask];
  const { nodes } = (await response.json()) as {
    readonly nodes: Readonly<Record<string, { readonly State?: string }>>;
  };
  return Object.entries(nodes).flatMap(([number, { State: state }]) =>
    state === undefined
      ? []
      : [{ id: `${task}/${number}`, state, final: JOB_ENDS.includes(state), ok: state === 'finished' }],
  );
}

const tasks = (await Promise.all(TASK_STATES.map((status) => client.tasksIn(status)))).flat();
console.log(JSON.stringify({ jobs: (await Promise.all(tasks.map(jobsOf))).flat() }));
