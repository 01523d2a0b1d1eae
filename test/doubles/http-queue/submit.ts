/** Submits jobs as a user of the queue does: `node submit.ts --url URL --jobs N --directory DIR`. */
import { parseArgs } from 'node:util';
import { askAsUser } from './token-file.ts';

const { values } = parseArgs({
  options: {
    url: { type: 'string', default: '' },
    jobs: { type: 'string', default: '1' },
    directory: { type: 'string', default: '.' },
  },
});
const jobs = Array.from({ length: Number(values.jobs) }, (_, at) => ({
  owner: 'physicist',
  campaign: 'shown',
  priority: 0,
  command: 'sh',
  arguments: ['-c', 'sleep 1; echo "$N squared is $((N * N))" > square.txt'],
  environment: { N: String(at + 1) },
  files: {},
  outputs: ['square.txt'],
  wallSeconds: 600,
  memoryMiB: 64,
  diskMiB: 16,
  requirements: '',
}));
console.log(
  JSON.stringify(await askAsUser(values.url, values.directory, '/v1/submit', { queue: 'main', jobs })),
);
