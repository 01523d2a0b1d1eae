import { runFrameworkAdapter } from '../kit/framework-adapter-program.ts';
import type { FrameworkProgram, FrameworkProgramOptions } from '../kit/framework-kind.ts';
import { createHttpQueueAdapter } from './http-queue-adapter.ts';

/** Starts the adapter of a plain HTTP queue. */
export function startAdapter(options: FrameworkProgramOptions): Promise<FrameworkProgram> {
  return runFrameworkAdapter(options, createHttpQueueAdapter);
}
