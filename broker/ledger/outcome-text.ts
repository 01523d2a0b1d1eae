import type { Outcome } from '../core/command.ts';

/** Outcomes as JSON. Rows whose text is known, because they have just been written, are not made text of again. */
export function encodeOutcomes(outcomes: readonly Outcome[], texts: ReadonlyMap<object, string>): string {
  return `[${outcomes.map((outcome) => encodeOutcome(outcome, texts)).join(',')}]`;
}

function encodeOutcome(outcome: Outcome, texts: ReadonlyMap<object, string>): string {
  const fields = Object.entries(outcome).map(([name, value]: [string, unknown]) => {
    const known = typeof value === 'object' && value !== null ? texts.get(value) : undefined;
    return `"${name}":${known ?? JSON.stringify(value)}`;
  });
  return `{${fields.join(',')}}`;
}

/** Written by `encodeOutcomes` in another thread of the same program. */
export function decodeOutcomes(text: string): readonly Outcome[] {
  return JSON.parse(text) as readonly Outcome[];
}
