import { readdirSync, readFileSync } from 'node:fs';

const FOLDER = new URL('../../protocol/examples/', import.meta.url);

/** The examples of a message that no receiver may take, as protocol/examples has them. */
export function invalidExamples(
  kind: string,
): readonly { readonly name: string; readonly message: object }[] {
  const folder = new URL(`${kind}/`, FOLDER);
  return readdirSync(folder)
    .filter((name) => name.startsWith('invalid-'))
    .toSorted()
    .map((name) => ({ name, message: objectIn(readFileSync(new URL(name, folder), 'utf8')) }));
}

function objectIn(text: string): object {
  const value: unknown = JSON.parse(text);
  return typeof value === 'object' && value !== null ? value : {};
}
