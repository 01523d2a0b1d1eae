/** What the queue says of its jobs: `node state.ts --url URL --directory DIR`. */
import { parseArgs } from 'node:util';
import { askAsUser } from './token-file.ts';

interface Listed {
  readonly jobs: readonly { readonly id: string; readonly state: string }[];
}

const { values } = parseArgs({
  options: { url: { type: 'string', default: '' }, directory: { type: 'string', default: '.' } },
});
const { jobs } = (await askAsUser(values.url, values.directory, '/v1/jobs')) as Listed;
const said = jobs.map(({ id, state }) => ({
  id,
  state,
  final: ['finished', 'failed', 'cancelled'].includes(state),
  ok: state === 'finished',
}));
console.log(JSON.stringify({ jobs: said }));
