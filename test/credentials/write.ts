import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import credentials from './credentials.json' with { type: 'json' };

const BEGIN = '<!-- credentials:begin -->\n';
const END = '<!-- credentials:end -->';
const PAGE = join(import.meta.dirname, '..', '..', 'docs', 'security.md');

/** What a thief of each credential gets; `shownBy` names tests as `file :: title`. */
export const CREDENTIALS: readonly Credential[] = credentials;

export interface Credential {
  readonly credential: string;
  readonly where: string;
  readonly thief: string;
  readonly until: string;
  readonly shownBy: readonly string[];
}

/** The table of docs/security.md. */
export function credentialTable(): string {
  const rows = CREDENTIALS.map(({ credential, where, thief, until, shownBy }) => {
    const files = new Set(shownBy.map((reference) => `\`${reference.split(' :: ')[0] ?? ''}\``));
    return `| ${[credential, where, thief, until, [...files].join(', ')].join(' | ')} |`;
  });
  const head = [
    '| Credential | Where it lives | What a thief can do with it | For how long | Shown by |',
    '|---|---|---|---|---|',
  ];
  return [...head, ...rows].join('\n');
}

/** The table as the page has it now. */
export function writtenTable(): string {
  const text = readFileSync(PAGE, 'utf8');
  return text.slice(text.indexOf(BEGIN) + BEGIN.length, text.indexOf(END));
}

/** Run this file to write the table into docs/security.md again. */
function main(): void {
  const text = readFileSync(PAGE, 'utf8');
  const before = text.slice(0, text.indexOf(BEGIN) + BEGIN.length);
  writeFileSync(PAGE, `${before}\n${credentialTable()}\n\n${text.slice(text.indexOf(END))}`);
}

if (import.meta.main) main();
