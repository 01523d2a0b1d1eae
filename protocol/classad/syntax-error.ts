import { CoPilotError } from '../errors.ts';

/** A `CLASSAD_SYNTAX` error whose message starts with the line and column, both from 1, columns in UTF-16 code units. */
export function syntaxError(text: string, offset: number, problem: string): CoPilotError {
  const before = text.slice(0, offset);
  const line = before.split('\n').length;
  const column = offset - before.lastIndexOf('\n');
  return new CoPilotError('CLASSAD_SYNTAX', `ClassAd line ${line}, column ${column}: ${problem}`);
}
