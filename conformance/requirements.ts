import { readFileSync } from 'node:fs';

const DEFINITION = /\*\*([BHSFMLVWECTX]-\d+)\*\*/g;

/** The numbers docs/protocol.md defines, in its order. */
export function definedRequirements(): readonly string[] {
  const page = readFileSync(new URL('../docs/protocol.md', import.meta.url), 'utf8');
  return [...page.matchAll(DEFINITION)].map(([, id]) => id ?? '');
}

/** Requirements nobody outside could see, each with the reason. */
export function unobservableRequirements(): Readonly<Record<string, string>> {
  return JSON.parse(readFileSync(new URL('unobservable.json', import.meta.url), 'utf8')) as Readonly<
    Record<string, string>
  >;
}
