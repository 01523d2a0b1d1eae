/**
 * Tries mutants: each is applied to a copy of the checkout, and what is named in it must notice, having found nothing before.
 * `node test/mutants/run.ts [NAME…]`; all of them where none is named. Writes `.run/mutants.json` too.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { removeDirectory, temporaryDirectory } from '../doubles/temporary-directory.ts';
import { askCatcher, type Said } from './catch.ts';
import { applyPatch, copyCheckout } from './checkout-copy.ts';
import { type Catcher, type Mutant, readMutants } from './mutant.ts';

/** What became of one mutant; `fault` is empty where all is as it should be. */
interface Tried {
  readonly name: string;
  readonly breaks: readonly string[];
  readonly seconds: number;
  readonly noticed: string;
  readonly fault: string;
}

const PARALLEL = 2;
const resultFile = join(import.meta.dirname, '../../.run/mutants.json');

async function main(names: readonly string[]): Promise<number> {
  const all = readMutants(import.meta.dirname);
  const unknown = names.filter((name) => !all.some((mutant) => mutant.name === name));
  if (unknown.length > 0) throw new Error(`there is no mutant ${unknown.join(', ')}`);
  const queue = names.length === 0 ? [...all] : all.filter(({ name }) => names.includes(name));
  const tried: Tried[] = [];
  const folder = await temporaryDirectory('mutants');
  try {
    await Promise.all(
      Array.from({ length: PARALLEL }, async (_, worker) => {
        const directory = join(folder, `copy-${worker}`);
        copyCheckout(directory);
        for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
          const result = await tryMutant(next, directory);
          tried.push(result);
          console.log(lineOf(result));
        }
      }),
    );
  } finally {
    await removeDirectory(folder);
  }
  mkdirSync(join(resultFile, '..'), { recursive: true });
  writeFileSync(resultFile, `${JSON.stringify(tried, null, 2)}\n`);
  const faults = tried.filter(({ fault }) => fault !== '').length;
  console.log(`${tried.length - faults} of ${tried.length} mutants noticed`);
  return faults === 0 && tried.length > 0 ? 0 : 1;
}

async function tryMutant(mutant: Mutant, directory: string): Promise<Tried> {
  const startedMs = performance.now();
  const { noticed = '', fault = '' } = await judge(mutant, directory);
  const seconds = Math.round((performance.now() - startedMs) / 100) / 10;
  return { name: mutant.name, breaks: mutant.breaks, seconds, noticed, fault };
}

/** What catchers say of the code as it is; many mutants share one. */
const without = new Map<string, Promise<Said>>();

function askWithout(catcher: Catcher, directory: string): Promise<Said> {
  const key = JSON.stringify(catcher);
  const said = without.get(key) ?? askCatcher(catcher, directory);
  without.set(key, said);
  return said;
}

async function judge({ patchFile, catcher }: Mutant, directory: string): Promise<Partial<Tried>> {
  const before = await askWithout(catcher, directory);
  if (before.kind !== 'well') return { fault: `without the patch: ${textOf(before)}` };
  const refused = applyPatch(patchFile, directory);
  if (refused !== '') return { fault: `the patch does not apply any more: ${refused}` };
  const after = await askCatcher(catcher, directory);
  const stuck = applyPatch(patchFile, directory, ['--reverse']);
  if (stuck !== '') throw new Error(`${patchFile} cannot be taken back: ${stuck}`);
  return after.kind === 'wrong' ? { noticed: after.what } : { fault: `not noticed: ${textOf(after)}` };
}

function textOf(said: Said): string {
  switch (said.kind) {
    case 'well':
      return 'nothing was found wrong';
    case 'wrong':
      return `found wrong: ${said.what}`;
    case 'no-judgement':
      return said.why;
  }
}

function lineOf({ name, breaks, seconds, noticed, fault }: Tried): string {
  const verdict = fault === '' ? `noticed by: ${noticed}` : `FAULT ${fault}`;
  return `${name.padEnd(44)} ${breaks.join(' ').padEnd(14)} ${String(seconds).padStart(6)} s  ${verdict}`;
}

process.exitCode = await main(process.argv.slice(2));
