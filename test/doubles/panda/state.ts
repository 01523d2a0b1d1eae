/** Where the jobs of a server stand: `node test/doubles/panda/state.ts --url URL --directory DIR`. */
import { callPanda, readArguments } from './command-line.ts';

const FIRST_ID = 4001;
const AT_ONCE = 200;
const FINAL = new Set(['finished', 'failed', 'cancelled', 'closed']);

interface Status {
  readonly job_id: number;
  readonly status: string;
}

const settings = readArguments();
const jobs: Status[] = [];
for (let from = FIRST_ID; ; from += AT_ONCE) {
  const query = Array.from({ length: AT_ONCE }, (_, at) => `job_ids=${from + at}`).join('&');
  const found = (await callPanda(settings, 'GET', `job/get_status?${query}`)) as readonly Status[];
  const known = found.filter(({ status }) => status !== 'not found');
  jobs.push(...known);
  if (known.length < AT_ONCE) break;
}
console.log(
  JSON.stringify({
    jobs: jobs.map(({ job_id: id, status: state }) => ({
      id: String(id),
      state,
      final: FINAL.has(state),
      ok: state === 'finished',
    })),
  }),
);
