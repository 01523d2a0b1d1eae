import { CoPilotError } from '../../protocol/errors.ts';

/** One thing that is wrong in a campaign file. Lines and columns count from 1. */
export interface Problem {
  readonly line: number;
  readonly column: number;
  /** Such as `inputs[1].name`; empty for the file as a whole. */
  readonly field: string;
  /** What is wrong and what would be right. */
  readonly message: string;
}

/** Where a value stands in a campaign file: keys and list positions from the top. */
export type FieldPath = readonly (string | number)[];

/** Most problems that are told at once. */
const MAX_PROBLEMS = 50;

const MAX_SHOWN = 48;

/** `INVALID_CAMPAIGN` with every problem on a line of its own, in the order of the file. */
export function invalidCampaign(file: string, problems: readonly Problem[]): CoPilotError {
  return new CoPilotError(
    'INVALID_CAMPAIGN',
    inFileOrder(problems)
      .map((problem) => line(file, problem))
      .join('\n'),
  );
}

/** In the order of the file, each place and text once, at most `MAX_PROBLEMS`. */
export function inFileOrder(problems: readonly Problem[]): readonly Problem[] {
  const unique = new Map(problems.map((problem) => [JSON.stringify(problem), problem]));
  return [...unique.values()]
    .sort((one, other) => one.line - other.line || one.column - other.column)
    .slice(0, MAX_PROBLEMS);
}

/** A path as people write it. */
export function fieldText(path: FieldPath): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? part : `${text}.${part}`;
  }, '');
}

/** A value of the file as a message shows it: short, on one line, nothing a terminal would act on. */
export function shown(value: unknown): string {
  const text = value === undefined ? 'nothing' : JSON.stringify(value);
  const plain = text.replace(/[^\u0020-\u007e\u00a1-\uffff]/g, '?');
  return plain.length > MAX_SHOWN ? `${plain.slice(0, MAX_SHOWN)}…` : plain;
}

function line(file: string, { line: row, column, field, message }: Problem): string {
  return `${file}:${row}:${column}: ${field === '' ? '' : `${field}: `}${message}`;
}
