import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const APT_LIMIT_MS = 10 * 60_000;

/** The names in a list file: one a line, `#` starts a comment. */
export function packageNames(text: string): readonly string[] {
  const lines = text.split('\n').map((line) => line.replace(/#.*/, '').trim());
  return lines.filter((line) => line !== '');
}

/** Those of the list that dpkg does not have; undefined where there is no dpkg to ask. */
export function missingDebianPackages(listFile: string): readonly string[] | undefined {
  const names = packageNames(readFileSync(listFile, 'utf8'));
  if (spawnSync('dpkg-query', ['--version']).error !== undefined) return undefined;
  return names.filter((name) => {
    const asked = spawnSync('dpkg-query', ['-W', '-f=${Status}', name], { encoding: 'utf8' });
    return !asked.stdout.endsWith(' installed');
  });
}

/** Installs them by apt-get, as root only. Answers undefined when it went well, else one line with the next step. */
export function installDebianPackages(names: readonly string[]): string | undefined {
  if (process.getuid?.() !== 0) return `not root: run \`sudo apt-get install ${names.join(' ')}\``;
  const update = aptGet(['update']);
  const install = aptGet(['install', '--yes', '--no-install-recommends', ...names]);
  if (install === undefined) return undefined;
  return `apt-get could not install ${names.join(' ')}\n${update ?? ''}\n${install}`;
}

function aptGet(args: readonly string[]): string | undefined {
  const done = spawnSync('apt-get', ['-q', ...args], {
    encoding: 'utf8',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: APT_LIMIT_MS,
  });
  if (done.status === 0) return undefined;
  return `${done.error?.message ?? ''}${done.stdout}${done.stderr}`.trim().slice(-2000);
}
