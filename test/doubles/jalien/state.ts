/** Prints what `ps` says of every job. */
import { parseArgs } from 'node:util';
import { isFinal } from '../alien/job-states.ts';
import { jalienCommand } from './program.ts';

const { values } = parseArgs({ options: { url: { type: 'string' }, directory: { type: 'string' } } });
const rows = await jalienCommand(values.url ?? '', 'ps', ['-a']);
const jobs = rows.map((row) => {
  const state = row['status'] ?? '';
  return {
    id: row['id '] ?? row['id'] ?? '',
    state,
    final: isFinal(state),
    ok: state === 'DONE' || state === 'DONE_WARN',
  };
});
process.stdout.write(`${JSON.stringify({ jobs })}\n`);
