import { type ChildProcess, spawn } from 'node:child_process';
import { fillWords, splitWords } from './command-words.ts';
import { Failed } from './expectation.ts';

const MAX_OUTPUT = 64 * 1024;
const ID = /\b[a-z2-7]{26}\b/;

/** Runs a command to its end, without a shell, and answers what it printed; `Failed` where it does not exit with 0. */
export function runCommand(
  template: string,
  values: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<string> {
  const child = startCommand(template, values, signal);
  let output = '';
  const keep = (chunk: Buffer): void => {
    if (output.length < MAX_OUTPUT) output += chunk.toString('utf8');
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  return new Promise((resolve, reject) => {
    child.once('error', (cause) =>
      reject(new Failed(`${template} cannot be run: ${cause.message}`, { cause })),
    );
    child.once('close', (code) => {
      if (code === 0) resolve(output);
      else reject(new Failed(`${template} ended with ${code ?? 'a signal'}: ${output.slice(-500)}`));
    });
  });
}

export function startCommand(
  template: string,
  values: Readonly<Record<string, string>>,
  signal?: AbortSignal,
): ChildProcess {
  const [program = '', ...words] = fillWords(splitWords(template), values);
  return spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'], ...(signal && { signal }) });
}

/** The first job id a command printed. */
export function idIn(output: string): string {
  const id = ID.exec(output)?.[0];
  if (id === undefined) throw new Failed(`the command printed no job id but: ${output.slice(0, 200)}`);
  return id;
}
