import { spawn } from 'node:child_process';

const KEPT_OUTPUT = 20_000;

/** One program that says by its exit code whether something about the code holds; run by Node with these arguments. */
export interface Check {
  readonly name: string;
  readonly args: readonly string[];
}

export interface CheckResult {
  readonly name: string;
  readonly ok: boolean;
  readonly seconds: number;
  /** The end of what it printed. */
  readonly output: string;
}

export interface RunOptions {
  readonly cwd: string;
  /** How many run at the same time. */
  readonly atOnce: number;
  /** A check that takes longer is ended and has failed. */
  readonly limitMs: number;
}

/** Runs every check, a few at once, and tells of each as it ends. */
export async function runChecks(
  checks: readonly Check[],
  options: RunOptions,
  onResult: (result: CheckResult) => void,
): Promise<readonly CheckResult[]> {
  const waiting = [...checks];
  const results: CheckResult[] = [];
  const lane = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const result = await runCheck(next, options);
      results.push(result);
      onResult(result);
    }
  };
  await Promise.all(Array.from({ length: options.atOnce }, lane));
  return results;
}

function runCheck({ name, args }: Check, { cwd, limitMs }: RunOptions): Promise<CheckResult> {
  const started = performance.now();
  const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], timeout: limitMs });
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-KEPT_OUTPUT);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const seconds = (performance.now() - started) / 1000;
      if (signal !== null) output += `\nended by ${signal} after ${seconds.toFixed(0)} s`;
      resolve({ name, ok: code === 0, seconds, output: output.trim() });
    });
  });
}
