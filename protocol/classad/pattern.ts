import { type Matcher, RE2JS } from 're2js';
import { type Budget, spend, spendCharacters } from './budget.ts';
import { lowerCase } from './letter-case.ts';

/** Longest pattern that is compiled, in UTF-16 code units. */
const longestPattern = 256;

const compileSteps = 50;

/** How many instruction visits, each instruction of a pattern at each character, cost one step. */
const visitsAStep = 100;

/** A Unicode class costs about as much to compile as this many plain instructions. */
const unicodeClassCost = 50;

/**
 * Whether a pattern matches anywhere in a text; nothing when it is not a pattern of the RE2 dialect (no look-around, no
 * back-references), longer than 256 characters, or dearer than the budget. Options: `i` ignores case, `m` lets ^ and $
 * match at line ends, `s` lets the point match a line end; other characters are ignored.
 */
export function patternMatches(
  pattern: string,
  text: string,
  options: string,
  budget: Budget,
): boolean | undefined {
  return compiled(pattern, text, options, budget)?.test(text);
}

/** One match: where it is, and the texts of its groups, the whole first; a group that took no part is the empty text. */
export interface Match {
  readonly start: number;
  readonly end: number;
  readonly groups: readonly string[];
}

/** The first match, or all that do not overlap; nothing as in `patternMatches`. */
export function patternParts(
  pattern: string,
  text: string,
  options: string,
  { all, budget }: { readonly all: boolean; readonly budget: Budget },
): readonly Match[] | undefined {
  const expression = compiled(pattern, text, options, budget);
  if (expression === undefined) return undefined;
  const matcher = expression.matcher(text);
  const matches: Match[] = [];
  // A search may look at all of the rest before it settles on a short match.
  while (matcher.find()) {
    const match = matchOf(matcher, text);
    matches.push(match);
    if (!all) break;
    if (!spend(budget, visitSteps(pattern, text.length - match.end))) return undefined;
  }
  return matches;
}

function matchOf(matcher: Matcher, text: string): Match {
  const groups = Array.from({ length: matcher.groupCount() + 1 }, (_, at) => {
    const start = matcher.start(at);
    return start < 0 ? '' : text.slice(start, matcher.end(at));
  });
  return { start: matcher.start(), end: matcher.end(), groups };
}

function compiled(pattern: string, text: string, options: string, budget: Budget): RE2JS | undefined {
  // A quotation can hide from the size estimate what a repetition applies to.
  if (pattern.length > longestPattern || pattern.includes('\\Q') || !spendCharacters(budget, options.length))
    return undefined;
  const cost = compileSteps + largestProgram(pattern) + visitSteps(pattern, text.length);
  if (!spend(budget, cost)) return undefined;
  try {
    return RE2JS.compile(pattern, flagsOf(options));
  } catch {
    // Whatever the library refuses is not a pattern; the language has a value for that.
    return undefined;
  }
}

function flagsOf(options: string): number {
  const letters = new Set(lowerCase(options));
  const flag = (letter: string, value: number): number => (letters.has(letter) ? value : 0);
  return flag('i', RE2JS.CASE_INSENSITIVE) | flag('m', RE2JS.MULTILINE) | flag('s', RE2JS.DOTALL);
}

function visitSteps(pattern: string, characters: number): number {
  return Math.ceil((largestProgram(pattern) * (characters + 1)) / visitsAStep);
}

/**
 * An upper bound for the instructions a pattern compiles to, from its text alone: counted repetitions are copied out, and
 * only those behind a parenthesis can contain one another.
 */
function largestProgram(pattern: string): number {
  let groupCopies = 1;
  let atomCopies = 0;
  for (const repetition of pattern.matchAll(/(.?)\{([0-9]*),?([0-9]*)\}/gsu)) {
    const copies = Math.max(Number(repetition[2]), Number(repetition[3])) + 1;
    if (repetition[1] === ')') groupCopies *= copies;
    else atomCopies += copies;
  }
  const unicodeClasses = pattern.match(/\\[pP]/g)?.length ?? 0;
  return groupCopies * (2 * pattern.length + 2 * atomCopies + unicodeClassCost * unicodeClasses);
}
