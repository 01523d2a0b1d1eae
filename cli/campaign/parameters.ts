import { MAX_JOBS, type Parameter } from './campaign.ts';
import { type FieldPath, type Problem, shown } from './problem.ts';
import type { Source } from './source.ts';

const RANGE = /^(-?(?:0|[1-9]\d{0,11}))\.\.(-?(?:0|[1-9]\d{0,11}))$/;
const LOOKS_LIKE_RANGE = /^\s*-?\d+\s*\.{2,3}\s*-?\d+\s*$/;

export interface Parameters {
  readonly parameters: readonly Parameter[];
  readonly problems: readonly Problem[];
}

/** The parameters of a file with every value they take, ranges counted out; at most `MAX_JOBS` combinations. */
export function readParameters(source: Source, sweep: Readonly<Record<string, unknown>>): Parameters {
  const parameters: Parameter[] = [];
  const problems: Problem[] = [];
  for (const [name, written] of Object.entries(sweep)) {
    const path = ['parameters', name];
    const items = Array.isArray(written) ? written.map((_, at): FieldPath => [...path, at]) : [path];
    const values: string[] = [];
    for (const item of items) {
      const read = readValues(source.text(item) ?? '');
      if (typeof read === 'string') problems.push(source.at(item, read));
      else for (const value of read) values.push(value);
      if (values.length > MAX_JOBS) break;
    }
    parameters.push({ name, values });
  }
  const jobs = parameters.reduce((product, { values }) => product * Math.max(1, values.length), 1);
  if (jobs > MAX_JOBS) {
    problems.push(
      source.at(['parameters'], `stand for more than ${MAX_JOBS} jobs; split them over several files`),
    );
  }
  return { parameters, problems };
}

/** The values one item stands for, or what is wrong with it. */
function readValues(text: string): readonly string[] | string {
  const [, from, to] = RANGE.exec(text) ?? [];
  if (from === undefined || to === undefined) {
    return LOOKS_LIKE_RANGE.test(text) ? `${shown(text)} is no range; write for example 1..40` : [text];
  }
  const first = Number(from);
  const count = Number(to) - first + 1;
  if (count < 1) return `the range ${text} is empty; write ${to}..${from}`;
  if (count > MAX_JOBS) return `the range ${text} has more than ${MAX_JOBS} values`;
  return Array.from({ length: count }, (_, at) => String(first + at));
}
