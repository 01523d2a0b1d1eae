import { CoPilotError } from '../errors.ts';

export function jdlError(problem: string): CoPilotError {
  return new CoPilotError('JDL_SYNTAX', `JDL: ${problem}`);
}

/** A name as messages show it: short, and nothing that moves a cursor. */
export function shown(text: string): string {
  return JSON.stringify(text.slice(0, 40));
}
