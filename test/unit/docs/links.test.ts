import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { page, pages, project, prose } from './pages.ts';

/** The targets of relative links of a page, as paths in the repository, with the heading each points at. */
function targets(path: string, text: string): readonly { file: string; heading: string }[] {
  const plain = prose(text).replace(/`[^`\n]*`/g, '');
  const links = [...plain.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target ?? '');
  return links
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [file = '', heading = ''] = target.split('#');
      return { file: file === '' ? path : join(dirname(path), file), heading };
    });
}

/** A heading as the anchor that readers' software makes of it. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

function anchors(path: string): readonly string[] {
  return [...prose(page(path)).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchor(heading ?? ''));
}

describe('a link', () => {
  it.each(pages())('of $path leads somewhere', ({ path, text }) => {
    const all = targets(path, text);
    expect(all.filter(({ file }) => !existsSync(join(project, file)))).toEqual([]);
    const headed = all.filter(({ file, heading }) => heading !== '' && file.endsWith('.md'));
    expect(headed.filter(({ file, heading }) => !anchors(file).includes(heading))).toEqual([]);
  });

  it.each(pages())('of $path to a file in code marks leads somewhere, too', ({ text }) => {
    const named = [
      ...prose(text).matchAll(/`((?:test|protocol|broker|agent|adapters|cli|bin|docs)\/[\w./-]*)`/g),
    ];
    expect(named.map(([, path]) => path ?? '').filter((path) => !existsSync(join(project, path)))).toEqual(
      [],
    );
  });

  it.each(pages())('of $path to a page outside names no package registry', ({ text }) => {
    expect(text.match(/https?:\/\/(registry|www\.npmjs)\.[^)\s]*/g) ?? []).toEqual([]);
  });
});

describe('a page of docs/', () => {
  const linked = new Set(pages().flatMap(({ path, text }) => targets(path, text).map(({ file }) => file)));
  const own = pages().filter(({ path }) => path.startsWith('docs/') && !path.includes('template'));

  it.each(own)('$path is linked from another', ({ path }) => {
    const isFolderIndex = path.endsWith('/README.md') && linked.has(`${dirname(path)}/`);
    expect(linked.has(path) || isFolderIndex).toBe(true);
  });
});
