/** Submits jobs by `enterCommand`, as the command line of AliEn does; prints their numbers. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { simJdl } from './program.ts';
import { rpcCall, SUBMITTED_FILE } from './rpc-call.ts';

const { values } = parseArgs({
  options: { url: { type: 'string' }, jobs: { type: 'string' }, directory: { type: 'string' } },
});
const file = join(values.directory ?? process.cwd(), SUBMITTED_FILE);
const before = JSON.parse(await readFile(file, 'utf8').catch(() => '[]')) as readonly number[];
const submitted: number[] = [];
for (let number = 1; number <= Number(values.jobs ?? 1); number++) {
  const jdl = simJdl(before.length + number);
  const id = await rpcCall(values.url ?? '', 'enterCommand', ['volunteer@submit', jdl, 0, 0, 0, {}]);
  if (typeof id !== 'number') throw new Error(`refused: ${JSON.stringify(id)}`);
  submitted.push(id);
}
await writeFile(file, JSON.stringify([...before, ...submitted]));
process.stdout.write(`${JSON.stringify({ submitted: submitted.map(String) })}\n`);
