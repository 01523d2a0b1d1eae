/** Prints what the queue says of the jobs that were submitted. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isFinal, stateName } from './job-states.ts';
import { rpcCall, SUBMITTED_FILE } from './rpc-call.ts';

const { values } = parseArgs({ options: { url: { type: 'string' }, directory: { type: 'string' } } });
const file = join(values.directory ?? process.cwd(), SUBMITTED_FILE);
const ids = JSON.parse(await readFile(file, 'utf8').catch(() => '[]')) as readonly number[];
const jobs = [];
for (const id of ids) {
  const counts = (await rpcCall(values.url ?? '', 'getJobInfo', ['volunteer', id])) as Readonly<
    Record<string, number>
  >;
  const state = stateName(Number(Object.keys(counts)[0] ?? 0));
  jobs.push({ id: String(id), state, final: isFinal(state), ok: state === 'DONE' || state === 'DONE_WARN' });
}
process.stdout.write(`${JSON.stringify({ jobs })}\n`);
