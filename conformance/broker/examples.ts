import { readdirSync, readFileSync } from 'node:fs';

const FOLDER = new URL('../../protocol/examples/', import.meta.url);

/** A file of protocol/examples. */
export interface Example {
  readonly name: string;
  readonly value: Readonly<Record<string, unknown>>;
}

/** The messages an agent may say after the handshake. */
export const AGENT_KINDS = ['request', 'renew', 'outputs', 'report', 'release', 'call', 'parts'] as const;

/** Examples of one kind, right or wrong, by name. */
export function examplesOf(kind: string, which: 'valid' | 'invalid'): readonly Example[] {
  return readdirSync(new URL(`${kind}/`, FOLDER))
    .filter((file) => file.startsWith(`${which}-`))
    .toSorted()
    .map((file) => ({
      name: file.replace(/^(?:in)?valid-|\.json$/g, ''),
      value: readExample(new URL(`${kind}/${file}`, FOLDER)),
    }));
}

function readExample(file: URL): Example['value'] {
  const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
  if (typeof value !== 'object' || value === null) throw new TypeError(`${file.pathname} is no object`);
  return Object.fromEntries(Object.entries(value));
}
