import { execFileSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { page, project } from './pages.ts';

const kept = execFileSync('git', ['ls-files'], { cwd: project, encoding: 'utf8' }).split('\n');

/** Folders that the repository keeps, whatever else lies in the checkout; `''` for those at the top. */
function foldersIn(folder: string): readonly string[] {
  const below = kept.filter((path) => path.startsWith(folder)).map((path) => path.slice(folder.length));
  const names = below.filter((path) => path.includes('/')).map((path) => path.split('/')[0] ?? '');
  return [...new Set(names)].filter((name) => !name.startsWith('.')).toSorted();
}

const contributor = page('docs/contributor.md');

describe('docs/contributor.md', () => {
  it.each(foldersIn(''))('says what is in %s/', (folder) => {
    expect(contributor).toMatch(new RegExp(`^\\|.*\`${folder}/`, 'm'));
  });

  it.each(foldersIn('test/'))('says what is in test/%s', (folder) => {
    expect(contributor).toContain(`| \`test/${folder}\` |`);
  });

  it('names what the bench can measure', () => {
    const parts = [...page('test/bench/main.ts').matchAll(/(?:wants|asked[.]includes)\('(\w+)'\)/g)].map(
      ([, part]) => part ?? '',
    );
    const [told = ''] = /`npm run bench` measures [^.]*/.exec(contributor) ?? [];
    const named = [...told.matchAll(/`(\w+)`/g)].map(([, part]) => part);
    expect(named.toSorted()).toEqual([...new Set(parts)].toSorted());
  });

  it('names the Debian packages that the peers of the bench ask for', () => {
    const texts = globSync('test/{servers,bench/peers}/*.ts', { cwd: project }).map(page).join('\n');
    const asked = [
      ...texts.matchAll(/needProgram\('[^']+', '([^']+)'/g),
      ...texts.matchAll(/apt-get install (\w[\w-]*)/g),
    ].map(([, name]) => name ?? '');
    expect(asked.length).toBeGreaterThan(2);
    for (const name of asked) expect(contributor).toContain(`\`${name}\``);
  });
});

describe('the README', () => {
  it('leads to every page', () => {
    const own = globSync('docs/*.md', { cwd: project });
    expect(own.filter((path) => !page('README.md').includes(`](${path})`))).toEqual([]);
  });
});

describe('the decisions', () => {
  const files = globSync('docs/adr/[0-9]*.md', { cwd: project })
    .map((path) => path.replace('docs/adr/', ''))
    .toSorted();

  it('are numbered one after the other', () => {
    expect(files.map((name) => Number(name.slice(0, 4)))).toEqual(files.map((_, index) => index));
  });

  it.each(files.slice(1))('%s is in the index, and has the four parts', (name) => {
    expect(page('docs/adr/README.md')).toContain(`| [${name.slice(0, 4)}](${name}) |`);
    const text = page(`docs/adr/${name}`);
    expect(text).toMatch(new RegExp(`^# ${name.slice(0, 4)}: `));
    expect(text).toMatch(
      /^Status: (?:proposed|accepted|replaced by \d{4})[^]*## Context[^]*## Decision[^]*## Consequences/m,
    );
  });
});

describe('the glossary', () => {
  const words = [...page('docs/glossary.md').matchAll(/^\| \*\*(.+?)\*\* \| (.+) \|$/gm)];

  it('has each word once, in the order of letters', () => {
    const names = words.map(([, word = '']) => word.toLowerCase());
    expect(names).toEqual([...new Set(names)].toSorted());
    expect(names.length).toBeGreaterThan(50);
  });
});
