import { type Output, table } from './command-line.ts';
import { safeLine } from './display/safe-text.ts';

/** Several things of one kind, and how people and programs see them. */
export interface Listing<T extends object> {
  /** The field of the JSON document. */
  readonly name: string;
  readonly items: readonly T[];
  readonly header: readonly string[];
  readonly row: (item: T) => readonly string[];
  /** What tells one from the others. */
  readonly key: (item: T) => string;
}

const MAX_CELL = 60;

/** One document with `--json`, a line for each with `--jsonl`, a table for people. */
export function showListing<T extends object>(output: Output, listing: Listing<T>): void {
  const { name, items } = listing;
  if (output.jsonl) for (const item of items) output.write(JSON.stringify(item));
  else if (output.json) output.write(JSON.stringify({ [name]: items }));
  else output.write(listingLines(listing).join('\n'));
}

/** The table, its texts safe for a terminal: some come from strangers. */
export function listingLines<T extends object>({ name, items, header, row }: Listing<T>): readonly string[] {
  if (items.length === 0) return [`no ${name}`];
  return table(
    header,
    items.map((item) => row(item).map((cell) => safeLine(cell).slice(0, MAX_CELL))),
  );
}
