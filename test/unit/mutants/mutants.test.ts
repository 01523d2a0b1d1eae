import { globSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { casesOf } from '../../../conformance/suites.ts';
import { temporaryDirectory } from '../../doubles/temporary-directory.ts';
import { askCatcher } from '../../mutants/catch.ts';
import { applyPatch } from '../../mutants/checkout-copy.ts';
import { readMutants, titlePattern, type Mutant } from '../../mutants/mutant.ts';
import { firstCells, page, project } from '../docs/pages.ts';
import { definedIds, isTest } from '../docs/requirements.ts';

const mutants = readMutants(join(project, 'test/mutants'));
const suites = globSync('test/conformance/*.ts', { cwd: project });

/** What takes part in a whole-suite run of its own would ask itself. */
function isCaught({ catcher }: Mutant): boolean {
  if (catcher.kind === 'command') return isCommand(catcher.words);
  const { file, title } = catcher;
  const isSuite = suites.some((suite) => isTest(`${suite} :: ${title}`));
  return isTest(`${file} :: ${title}`) || (isSuite && globSync(file, { cwd: project }).length > 0);
}

/** A program of ours, with a case that is there where it takes one. */
function isCommand([, program = '', argument]: readonly string[]): boolean {
  if (globSync(program, { cwd: project }).length === 0) return false;
  const cases = [...casesOf('agent'), ...casesOf('broker')];
  return program !== 'test/mutants/conformance-case.ts' || cases.some(({ id }) => id === argument);
}

describe('the mutants', () => {
  it('are forty or more', () => {
    expect(mutants.length).toBeGreaterThanOrEqual(40);
  });

  it('still apply: of one that does not, the code has moved on (docs/contributor.md)', () => {
    const faults = mutants.map(({ name, patchFile }) => [name, applyPatch(patchFile, project, ['--check'])]);
    expect(faults.filter(([, fault]) => fault !== '')).toEqual([]);
  });

  it('each break requirements or invariants that are there', () => {
    const known = new Set([...definedIds(), ...firstCells(page('docs/invariants.md'))]);
    const unknown = mutants.flatMap(({ name, breaks }) =>
      breaks.filter((id) => !known.has(id)).map((id) => [name, id]),
    );
    expect(unknown).toEqual([]);
  });

  it('each name a test, a case or a program that is there', () => {
    expect(mutants.filter((mutant) => !isCaught(mutant)).map(({ name }) => name)).toEqual([]);
  });
});

describe('a mutant', () => {
  async function readOne(text: string): Promise<readonly Mutant[]> {
    const directory = await temporaryDirectory('mutant');
    try {
      await writeFile(join(directory, 'one.patch'), text);
      return readMutants(directory);
    } finally {
      await rm(directory, { recursive: true });
    }
  }

  it('names a test, or any command', async () => {
    const [test] = await readOne('Breaks: M-8, I3\nCaught-by: test/unit/a.test.ts :: is well\n');
    expect(test).toMatchObject({
      name: 'one',
      breaks: ['M-8', 'I3'],
      catcher: { kind: 'test', file: 'test/unit/a.test.ts', title: 'is well' },
    });
    const [command] = await readOne('Breaks: I1\nCaught-by: $ node test/simulation/one-seed.ts 3\n');
    expect(command?.catcher).toEqual({
      kind: 'command',
      words: ['node', 'test/simulation/one-seed.ts', '3'],
    });
  });

  it.each([
    'Caught-by: test/unit/a.test.ts :: is well\n',
    'Breaks: everything\nCaught-by: test/unit/a.test.ts :: is well\n',
    'Breaks: I1\nCaught-by: test/unit/a.test.ts\n',
    'Breaks: I1\n',
  ])('without a whole header is refused: %j', async (text) => {
    await expect(readOne(text)).rejects.toThrow('one');
  });

  it.each([
    [0, { kind: 'well' }],
    [1, { kind: 'wrong', what: 'exit code 1' }],
    [69, { kind: 'no-judgement', why: 'it was not there' }],
  ])('has a command that ends with %i for its judge', async (code, said) => {
    const script = `console.error('it was not there'); process.exitCode = ${code}`;
    const catcher = { kind: 'command', words: ['node', '-e', script] } as const;
    expect(await askCatcher(catcher, project)).toEqual(said);
  });

  it('whose patch does not apply is a fault', async () => {
    const directory = await temporaryDirectory('mutant');
    try {
      const patch = join(directory, 'one.patch');
      await writeFile(patch, 'diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-old\n+new\n');
      await writeFile(join(directory, 'a'), 'other\n');
      expect(applyPatch(patch, directory)).not.toBe('');
      await writeFile(join(directory, 'a'), 'old\n');
      expect(applyPatch(patch, directory)).toBe('');
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('is caught by a test of a table, whatever the table fills in', () => {
    const pattern = new RegExp(titlePattern('a frame %i (of $name) behind'));
    expect(pattern.test('session a frame 63 (of x) behind')).toBe(true);
    expect(pattern.test('a frame 63 of x behind')).toBe(false);
  });
});
