import { expect, it } from 'vitest';
import { verdictOn } from '../unit/kit/bug-verdict.ts';
import { PLANTED_BUGS } from '../unit/kit/planted-bugs.ts';

it.each(PLANTED_BUGS.map((bug) => [bug.name, bug] as const))(
  'the suite for adapters of frameworks finds one that %s',
  async (_name, bug) => {
    expect(await verdictOn(bug)).toBe('found');
  },
);
