import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { TRANSITIONS } from '../../../broker/core/transitions.ts';

const page = await readFile(new URL('../../../docs/lease-machine.md', import.meta.url), 'utf8');

describe('docs/lease-machine.md', () => {
  it('shows the table of the code, row by row', () => {
    const rows = page.split('\n').filter((line) => /^\| `/.test(line));
    expect(rows).toEqual(TRANSITIONS.map(({ from, event, when, to }) => rowOf(from, event, when, to)));
  });

  it('draws every change of state and no other', () => {
    const drawn = [...page.matchAll(/^ {2}(\S+) --> (\S+) :/gm)].map(([, from, to]) => `${from} ${to}`);
    const changes = TRANSITIONS.filter(({ from, to }) => from !== to).map(
      ({ from, to }) => `${from === 'none' ? '[*]' : nameOf(from)} ${nameOf(to)}`,
    );
    expect([...new Set(drawn)].sort()).toEqual([...new Set(changes)].sort());
    expect(drawn).toHaveLength(new Set(drawn).size);
  });

  it('has no row twice', () => {
    const keys = TRANSITIONS.map(({ from, event, to }) => `${from} ${event} ${to}`);
    expect(new Set(keys).size).toBe(keys.length);
  });
});

function rowOf(from: string, event: string, when: string, to: string): string {
  return `| \`${from}\` | \`${event}\` | ${when} | \`${to}\` |`;
}

function nameOf(state: string): string {
  return state.replaceAll('-', '_');
}
