/** Fails where a committed file names this machine, a package registry's host, or something that looks like a credential. */
import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { findings, rulesFor } from './scan-rules.ts';

const checkout = join(import.meta.dirname, '..');
const MAX_BYTES = 4 * 1024 * 1024;

function files(): readonly string[] {
  const listed = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: checkout,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (listed.status !== 0) throw new Error(`git ls-files: ${listed.stderr}`);
  return listed.stdout.split('\0').filter((file) => file !== '');
}

function read(file: string): string {
  const path = join(checkout, file);
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat?.isFile() === true && stat.size <= MAX_BYTES ? readFileSync(path, 'utf8') : '';
}

const rules = rulesFor(checkout, homedir());
const found = files().flatMap((file) => findings(file, read(file), rules));
for (const { file, line, what } of found) console.error(`${file}:${line}: ${what}`);
process.exitCode = found.length === 0 ? 0 : 1;
