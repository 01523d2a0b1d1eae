/** Submits one task by CRAB's own API: `node submit.ts --url URL --jobs N`. Prints its jobs as `TASK/NUMBER`. */
import { parseArgs } from 'node:util';
import { createCrabClient } from './client.ts';

const EVENTS_PER_JOB = 10;

const { values } = parseArgs({
  options: {
    url: { type: 'string' },
    jobs: { type: 'string', default: '1' },
    directory: { type: 'string' },
    name: { type: 'string', default: `study_${process.pid}` },
  },
});
const jobs = Number(values.jobs);
if (values.url === undefined || !Number.isInteger(jobs) || jobs < 1)
  throw new Error('--url and --jobs are needed');
const task = await createCrabClient(values.url).submit(values.name, {
  algoargs: EVENTS_PER_JOB,
  totalunits: EVENTS_PER_JOB * jobs,
  maxjobruntime: 60,
  maxmemory: 64,
});
console.log(JSON.stringify({ submitted: Array.from({ length: jobs }, (_, at) => `${task}/${at + 1}`) }));
