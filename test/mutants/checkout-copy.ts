import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';

const checkout = join(import.meta.dirname, '../..');
/** Not in git and needed all the same; never changed by a test. */
const LINKED = ['node_modules', '.tools'];

/** Copies what git knows of the checkout, changes that were not committed included; packages are linked. */
export function copyCheckout(directory: string): void {
  for (const file of gitFiles()) {
    const from = join(checkout, file);
    if (!existsSync(from)) continue; // removed and not committed yet
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    cpSync(from, join(directory, file));
  }
  for (const name of LINKED)
    if (existsSync(join(checkout, name))) symlinkSync(join(checkout, name), join(directory, name));
}

function gitFiles(): readonly string[] {
  const listed = git(['ls-files', '-z', '--cached', '--others', '--exclude-standard'], checkout);
  if (listed.fault !== '') throw new Error(`git could not list the files: ${listed.fault}`);
  return listed.output.split('\0').filter((file) => file !== '');
}

/** Applies a patch to a copy, or takes it back; answers what is wrong, or nothing. */
export function applyPatch(patchFile: string, directory: string, options: readonly string[] = []): string {
  return git(['apply', '--whitespace=nowarn', ...options, patchFile], directory).fault;
}

function git(words: readonly string[], cwd: string): { readonly output: string; readonly fault: string } {
  // A copy within a checkout would otherwise count as part of it, and nothing would be patched.
  const env = { ...process.env, GIT_CEILING_DIRECTORIES: dirname(cwd) };
  const { status, stdout, stderr, error } = spawnSync('git', [...words], { cwd, env, encoding: 'utf8' });
  const output = typeof stdout === 'string' ? stdout : '';
  return { output, fault: status === 0 ? '' : (error?.message ?? stderr.trim()) };
}
