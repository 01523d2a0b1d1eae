import { join } from 'node:path';
import type { FrameworkProgram, FrameworkProgramOptions } from '../kit/framework-kind.ts';
import { runFrameworkAdapter } from '../kit/framework-adapter-program.ts';
import { openJobNotes } from './job-notes.ts';
import { createPandaAdapter } from './panda-adapter.ts';
import { openTakenJobs } from './taken-jobs.ts';

/** Starts the adapter of one PanDA server. Rejects with `INVALID_CONFIGURATION`, or `QUEUE_CORRUPT` for its own file. */
export async function startAdapter(options: FrameworkProgramOptions): Promise<FrameworkProgram> {
  const taken = await openTakenJobs(join(options.directory, 'taken-jobs.json'));
  const notes = await openJobNotes(join(options.directory, 'job-notes'));
  return runFrameworkAdapter(options, (parts) => createPandaAdapter(parts, taken, notes));
}
