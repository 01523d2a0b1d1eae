import { describe, expect, it } from 'vitest';
import { AGENT_EXIT } from '../../../agent/exit-codes.ts';
import { EXIT } from '../../../cli/command-line.ts';
import { isDocumentedCommand } from './commands.ts';
import { fenced, firstCells, page, pages } from './pages.ts';

const commands = pages().flatMap(({ path, text }) =>
  fenced(text, 'sh')
    .flatMap((block) => block.split('\n'))
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => ({ path, line })),
);

describe('the commands in the documents', () => {
  it('are found', () => {
    expect(commands.length).toBeGreaterThan(20);
  });

  it.each(commands)('$path: $line', ({ line }) => {
    expect(isDocumentedCommand(line)).toBe(true);
  });

  it.each([
    'npm run tests',
    'npm start -- --chaoss',
    'co-pilot up --twice',
    'co-pilot jobs list',
    'co-pilot job',
    'co-pilot job show',
    'co-pilot job show A B',
    'co-pilot job submit a.yaml --await',
    'co-pilot conformance agent --only A B --twice',
    'python3 agent.py',
    'python3 -m http.server',
    'python3 examples/python-agent/agent.py --directory a --koda b',
    'rm -rf x',
  ])('would not pass as %s', (line) => {
    expect(isDocumentedCommand(line)).toBe(false);
  });

  it('of the README are the two that CI runs and a newcomer types', () => {
    expect(fenced(page('README.md'), 'sh')[0]).toBe('npm start\nnpm test\n');
    expect(page('.ci/run')).toContain(' npm test\n');
  });
});

describe('the exit codes in docs/operator.md', () => {
  it('are those of the command line and of the agent, each once', () => {
    const told = firstCells(page('docs/operator.md')).filter((cell) => /^\d+$/.test(cell));
    const real = new Set([...Object.values(EXIT), ...Object.values(AGENT_EXIT)]);
    expect(told.map(Number)).toEqual([...real].toSorted((one, other) => one - other));
  });
});
