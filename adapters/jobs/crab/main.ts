import { runFrameworkAdapter } from '../kit/framework-adapter-program.ts';
import type { FrameworkInquiry, FrameworkProgram, FrameworkProgramOptions } from '../kit/framework-kind.ts';
import { createClaims } from './claims.ts';
import { createCrabAdapter } from './crab-adapter.ts';
import { readCrabOptions } from './crab-options.ts';
import { createCrabRest } from './crab-rest.ts';

/** Starts the TaskWorker of a CRAB server. */
export function startAdapter(options: FrameworkProgramOptions): Promise<FrameworkProgram> {
  return runFrameworkAdapter(options, (parts) => createCrabAdapter(parts, options));
}

/** How many tasks the server counts as this worker's. */
export async function introduce({ settings, http }: FrameworkInquiry): Promise<string> {
  const { worker } = readCrabOptions(settings);
  const tasks = await createClaims(createCrabRest(http), worker).held('SUBMITTED');
  return `lets us in; tasks that worker ${worker} has submitted: ${tasks.length}`;
}
