import { nodeClock } from '../../protocol/runtime/node-runtime.ts';
import { createProgressLine, type ProgressLine } from '../progress-line.ts';

/** The progress of a command, on standard error. */
export function standardProgress(quiet: boolean): ProgressLine {
  return createProgressLine({ stream: process.stderr, clock: nodeClock, environment: process.env, quiet });
}
