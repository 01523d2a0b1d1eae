import { runFrameworkAdapter } from '../kit/framework-adapter-program.ts';
import type { FrameworkProgram, FrameworkProgramOptions } from '../kit/framework-kind.ts';
import { createCmsAtHomeAdapter, type VolunteerCheck } from './cms-at-home-adapter.ts';

/** Starts the queue of CMS@home; who checks volunteers is the caller's. */
export function startQueue(
  options: FrameworkProgramOptions,
  volunteer: VolunteerCheck,
): Promise<FrameworkProgram> {
  return runFrameworkAdapter(options, (parts) =>
    createCmsAtHomeAdapter(parts, { directory: options.directory, volunteer }),
  );
}
