import { parse } from 'ltx';
import { CoPilotError } from '../../protocol/errors.ts';
import type { Fields } from './key-values.ts';

const ROOT = 'app_init_data';

/** BOINC's elements, by the names that the same things have as lines of `KEY=VALUE`. */
const NAMES: ReadonlyMap<string, string> = new Map([
  ['userid', 'BOINC_USERID'],
  ['hostid', 'BOINC_HOSTID'],
  ['authenticator', 'BOINC_AUTHENTICATOR'],
]);

/**
 * What is of use in BOINC's `init_data.xml`: children of the root, by their names as keys. Throws `INVALID_CONTEXT` where it is no whole
 * document of that kind.
 */
export function initDataFields(text: string): Fields {
  const fields = new Map<string, string>();
  for (const child of rootOf(text).children) {
    if (typeof child === 'string') continue;
    const key = NAMES.get(child.name);
    if (key !== undefined && !fields.has(key)) fields.set(key, child.getText().trim());
  }
  return fields;
}

function rootOf(text: string): ReturnType<typeof parse> {
  try {
    const root = parse(text);
    if (root.name === ROOT) return root;
  } catch {
    // The parser's message may repeat the text, which holds a secret.
  }
  throw new CoPilotError('INVALID_CONTEXT', `this is no whole document <${ROOT}>, as BOINC writes it`);
}
