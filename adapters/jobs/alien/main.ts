import { runFrameworkAdapter } from '../kit/framework-adapter-program.ts';
import type { FrameworkProgram, FrameworkProgramOptions } from '../kit/framework-kind.ts';
import { createAlienAdapter } from './alien-adapter.ts';

/** Starts the adapter of AliEn as a program on the bus. */
export async function startAdapter(options: FrameworkProgramOptions): Promise<FrameworkProgram> {
  return runFrameworkAdapter(options, (parts) => createAlienAdapter(parts, options.directory));
}
