/** Submits jobs by `submit` over the WebSocket, as the command line of JAliEn does; prints their numbers. */
import { parseArgs } from 'node:util';
import { simJdl } from '../alien/program.ts';
import { jalienCommand } from './program.ts';

const { values } = parseArgs({
  options: { url: { type: 'string' }, jobs: { type: 'string' }, directory: { type: 'string' } },
});
const submitted: string[] = [];
for (let number = 1; number <= Number(values.jobs ?? 1); number++) {
  const [row] = await jalienCommand(values.url ?? '', 'submit', [simJdl(number)]);
  submitted.push(row?.['jobId'] ?? '');
}
process.stdout.write(`${JSON.stringify({ submitted })}\n`);
