import { join } from 'node:path';
import type { FrameworkInquiry, FrameworkProgram, FrameworkProgramOptions } from '../kit/framework-kind.ts';
import { runFrameworkAdapter } from '../kit/framework-adapter-program.ts';
import { openJobJournal } from '../kit/job-journal.ts';
import { introduced } from './identity-check.ts';
import { openJobNotes } from './job-notes.ts';
import { clientOf, createPandaAdapter } from './panda-adapter.ts';
import { readOptions } from './panda-options.ts';
import { JOURNAL_FILE, readTakenJob } from './taken-job.ts';

/** Starts the adapter of one PanDA server. Rejects with `INVALID_CONFIGURATION`, or `QUEUE_CORRUPT` for its own file. */
export async function startAdapter(options: FrameworkProgramOptions): Promise<FrameworkProgram> {
  const path = join(options.directory, JOURNAL_FILE);
  const notes = await openJobNotes(join(options.directory, 'job-notes'));
  return runFrameworkAdapter(options, async (parts) =>
    createPandaAdapter(parts, await openJobJournal({ path, read: readTakenJob }), notes),
  );
}

/** What PanDA says of us; rejects without the production role. */
export async function introduce({ name, settings, http }: FrameworkInquiry): Promise<string> {
  return introduced(await clientOf(readOptions(settings, name), http).identity());
}
