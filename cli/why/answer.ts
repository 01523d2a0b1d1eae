import type { Cause } from './causes.ts';

/** A cause with its sentence; evidence beyond what every answer has. */
export interface Answer {
  readonly cause: Cause;
  readonly sentence: string;
  readonly evidence?: readonly string[];
}
