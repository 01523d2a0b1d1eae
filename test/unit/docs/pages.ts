import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const project = join(import.meta.dirname, '..', '..', '..');

/** One Markdown file of the repository. */
export interface Page {
  readonly path: string;
  readonly text: string;
}

/** Every page that a reader may open. */
export function pages(): readonly Page[] {
  const found = globSync(['*.md', 'docs/**/*.md', 'compose/**/*.md', 'examples/**/*.md'], { cwd: project });
  return found.toSorted().map((path) => ({ path, text: readFileSync(join(project, path), 'utf8') }));
}

export function page(path: string): string {
  return readFileSync(join(project, path), 'utf8');
}

/** A fenced block, where it stands, and what it says it is. */
export interface Block {
  readonly path: string;
  readonly line: number;
  readonly language: string;
  readonly body: string;
}

/** Every fenced block of a page, those inside lists too. */
export function blocks(path: string, text: string): readonly Block[] {
  const found = text.matchAll(/^( *)```([^\n]*)\n([\s\S]*?)^ *```$/gm);
  return [...found].map(({ 2: language = '', 3: body = '', index }) => ({
    path,
    line: text.slice(0, index).split('\n').length,
    language,
    body,
  }));
}

/** The fenced blocks of one language. */
export function fenced(text: string, language: string): readonly string[] {
  const blocks = text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm);
  return [...blocks].filter(([, name]) => name === language).map(([, , body]) => body ?? '');
}

/** A page without its fenced blocks: what is prose. */
export function prose(text: string): string {
  return text.replace(/^```\w*\n[\s\S]*?^```$/gm, '');
}

/** The first cells of every table row, without code marks. */
export function firstCells(text: string): readonly string[] {
  const rows = [...prose(text).matchAll(/^\| *([^|\n]*?) *\|/gm)].map(([, cell]) => cell ?? '');
  return rows.filter((cell) => cell !== '' && !/^:?-+:?$/.test(cell)).map((cell) => cell.replaceAll('`', ''));
}
