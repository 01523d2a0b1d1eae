import { describe, expect, it } from 'vitest';
import { fenced, page, pages } from './pages.ts';

const { scripts } = JSON.parse(page('package.json')) as { scripts: Record<string, string> };

const commands = pages().flatMap(({ path, text }) =>
  fenced(text, 'sh')
    .flatMap((block) => block.split('\n'))
    .map((line) => line.replace(/\s#.*$/, '').trim())
    .filter((line) => line !== '')
    .map((line) => ({ path, line })),
);

/** What people may type, and the options and arguments each takes. */
const CO_PILOT: readonly (readonly [string, RegExp])[] = [
  ['up', /^( --(once|chaos)| --isolation none| [\w-]+\.yaml)*$/],
  ['agent run', /^ --code CODE$/],
  ['job submit', /^ [\w-]+\.yaml( --wait| --json)*$/],
  ['job list', /^( --json)?$/],
  ['job (show|fetch|cancel)', /^ [\w-]+( --json)?$/],
];

function isKnown(line: string): boolean {
  const [, script, rest = ''] = /^npm (?:run )?([\w:]+)(?: --(?= ))?(.*)$/.exec(line) ?? [];
  if (script === 'start') return isCoPilot(`up${rest}`);
  if (script !== undefined) return script in scripts;
  return line.startsWith('co-pilot ') && isCoPilot(line.slice('co-pilot '.length));
}

function isCoPilot(rest: string): boolean {
  return CO_PILOT.some(([name, takes]) => {
    const match = new RegExp(`^${name}(?= |$)`).exec(rest);
    return match !== null && takes.test(rest.slice(match[0].length));
  });
}

describe('the commands in the documents', () => {
  it('are found', () => {
    expect(commands.length).toBeGreaterThan(20);
  });

  it.each(commands)('$path: $line', ({ line }) => {
    expect(isKnown(line)).toBe(true);
  });

  it.each([
    'npm run tests',
    'co-pilot jobs list',
    'co-pilot up --twice',
    'npm start -- --chaoss',
    'rm -rf x',
  ])('would not pass as %s', (line) => {
    expect(isKnown(line)).toBe(false);
  });

  it('of the README are the two that CI runs and a newcomer types', () => {
    expect(fenced(page('README.md'), 'sh')[0]).toBe('npm start\nnpm test\n');
    expect(page('.ci/run')).toContain(' npm test\n');
  });
});
