import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { IsolationMethod } from './executors/index.ts';
import { runAgent, type RunAgentOptions } from './main.ts';
import { toldAccount } from './vm/told-account.ts';

/** What a person or a supervisor may say on the command line of an agent. */
export interface AgentArguments {
  readonly directory: string;
  readonly code?: string;
  /** A file that holds the code: arguments are seen by everybody on the machine. */
  readonly codeFile?: string;
  /** Where a virtual machine was told of a BOINC account to enrol with, instead of a code. */
  readonly context?: string;
  /** Where to enrol and whom to believe then; else the context says it. */
  readonly installation?: string;
  readonly slots: number;
  readonly isolation?: IsolationMethod;
  readonly drainSeconds: number;
  readonly json: boolean;
  /** End when standard input does: whoever started us is gone. */
  readonly withParent: boolean;
}

/** Runs an agent as a program of its own: SIGTERM or SIGINT drains it, a second one hurries it. Resolves with the exit code. */
export async function runAgentProgram(options: AgentArguments): Promise<number> {
  const drain = new AbortController();
  const hurry = new AbortController();
  const onSignal = (): void => {
    if (drain.signal.aborted) hurry.abort();
    drain.abort();
  };
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, onSignal);
  if (options.withParent) process.stdin.on('end', onSignal).resume();
  const { codeFile } = options;
  const code = codeFile === undefined ? options.code : (await readFile(codeFile, 'utf8')).trim();
  try {
    return await runAgent({
      ...(await tellingOf(options)),
      directory: resolve(options.directory),
      slots: options.slots,
      drainSeconds: options.drainSeconds,
      json: options.json,
      signal: drain.signal,
      hurry: hurry.signal,
      write: (line) => process.stdout.write(`${line}\n`),
      ...(code !== undefined && { code }),
      ...(options.isolation !== undefined && { isolation: options.isolation }),
    });
  } finally {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.off(name, onSignal);
    if (options.withParent) process.stdin.destroy();
  }
}

/** What a virtual machine was told, where it was. */
async function tellingOf({
  context,
  installation,
}: AgentArguments): Promise<Pick<RunAgentOptions, 'way' | 'ownersSecrets'>> {
  if (context === undefined) return {};
  return toldAccount({ context, ...(installation !== undefined && { installation }) }, process.env);
}

const METHODS: readonly IsolationMethod[] = ['bubblewrap', 'unshare', 'uid', 'none'];

function isolationOf(text: string | undefined): IsolationMethod | undefined {
  if (text === undefined) return undefined;
  const method = METHODS.find((entry) => entry === text);
  if (method === undefined) throw new Error(`--isolation is one of ${METHODS.join(', ')}`);
  return method;
}

/** Started by itself, as a supervisor does in a jail where only the agent's own files are to be seen. */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      directory: { type: 'string' },
      'code-file': { type: 'string' },
      context: { type: 'string' },
      installation: { type: 'string' },
      slots: { type: 'string', default: '1' },
      isolation: { type: 'string' },
      drain: { type: 'string', default: '0' },
      json: { type: 'boolean', default: false },
      'with-parent': { type: 'boolean', default: false },
    },
  });
  const isolation = isolationOf(values.isolation);
  process.exitCode = await runAgentProgram({
    directory: values.directory ?? '.',
    slots: Number(values.slots),
    drainSeconds: Number(values.drain),
    json: values.json,
    withParent: values['with-parent'],
    ...(values['code-file'] !== undefined && { codeFile: values['code-file'] }),
    ...(values.context !== undefined && { context: values.context }),
    ...(values.installation !== undefined && { installation: values.installation }),
    ...(isolation !== undefined && { isolation }),
  });
}

if (import.meta.main) await main();
