import { runFrameworkAdapter } from '../kit/framework-adapter-program.ts';
import type { FrameworkProgram, FrameworkProgramOptions } from '../kit/framework-kind.ts';
import { createCrabAdapter } from './crab-adapter.ts';

/** Starts the TaskWorker of a CRAB server. */
export function startAdapter(options: FrameworkProgramOptions): Promise<FrameworkProgram> {
  return runFrameworkAdapter(options, (parts) => createCrabAdapter(parts, options));
}
