import { spawn } from 'node:child_process';
import { basename } from 'node:path';

const KEPT_OUTPUT = 4000;
const TIME_LIMIT_MS = 10 * 60_000;

/** npm as it was started by, or as PATH has it. */
function npmCommand() {
  const cli = process.env.npm_execpath;
  if (cli !== undefined && basename(cli) === 'npm-cli.js') return { file: process.execPath, first: [cli] };
  return { file: process.platform === 'win32' ? 'npm.cmd' : 'npm', first: [] };
}

/**
 * Runs npm without showing what it prints. Answers undefined when it went well, else the end of its output.
 * Package scripts never run, and a package's wish for a newer Node never stops the launcher, which brings its own.
 */
export function runNpm(args, cwd) {
  const { file, first } = npmCommand();
  const quiet = ['--no-audit', '--no-fund', '--ignore-scripts', '--engine-strict=false', '--loglevel=error'];
  return new Promise((resolve) => {
    const child = spawn(file, [...first, ...args, ...quiet], {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: file.endsWith('.cmd'),
      timeout: TIME_LIMIT_MS,
    });
    let output = '';
    const keep = (chunk) => (output = (output + chunk).slice(-KEPT_OUTPUT));
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', (error) => resolve(`npm cannot be started: ${error.message}`));
    child.on('close', (code) => resolve(code === 0 ? undefined : output.trim() || `npm ended with ${code}`));
  });
}
