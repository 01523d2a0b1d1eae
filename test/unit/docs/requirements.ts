import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { page, project } from './pages.ts';

const ID = /\b[BHSFMLVWECTX]-\d+\b/g;
const TEST = /^\s*(?:it|test|describe)\b/;
const PROVES = /^\s*\/\/ proves: (.*)$/;

/** A requirement named by a test, and where. */
export interface Named {
  readonly id: string;
  readonly where: string;
}

/** Ids that docs/protocol.md defines, in its order. */
export function definedIds(): readonly string[] {
  return [...page('docs/protocol.md').matchAll(/\*\*([BHSFMLVWECTX]-\d+)\*\*/g)].map(([, id]) => id ?? '');
}

/** Ids in the titles of tests, or in a comment `// proves:` above them. */
export function idsInTests(): readonly Named[] {
  return globSync('test/**/*.ts', { cwd: project }).flatMap((path) =>
    idsIn(path, readFileSync(join(project, path), 'utf8')),
  );
}

/** Throws where a comment says what nothing below it proves. */
export function idsIn(path: string, text: string): readonly Named[] {
  const lines = text.split('\n');
  return lines.flatMap((line, index) => {
    const where = `${path}:${index + 1}`;
    const comment = PROVES.exec(line)?.[1];
    if (comment !== undefined && !TEST.test(lines[index + 1] ?? ''))
      throw new Error(`${where}: there is no test below the comment`);
    const said = comment ?? (TEST.test(line) ? line : '');
    return [...said.matchAll(ID)].map(([id]) => ({ id, where }));
  });
}

/** `test/requirements.json`: tests that prove a requirement without saying so. */
export function mapping(): Readonly<Record<string, readonly string[]>> {
  return JSON.parse(page('test/requirements.json')) as Record<string, readonly string[]>;
}

export function unproved(): readonly string[] {
  return JSON.parse(page('test/unproved-requirements.json')) as readonly string[];
}

/** Whether a `file :: title` of the mapping is a test. */
export function isTest(reference: string): boolean {
  const [path = '', title = ''] = reference.split(' :: ');
  if (title === '' || globSync(path, { cwd: project }).length === 0) return false;
  const text = readFileSync(join(project, path), 'utf8');
  return ["'", '"', '`'].some((quote) => text.includes(`${quote}${title}${quote}`));
}
