import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { trustAuthorities } from './authority.ts';
import { chosenWay, environmentWay, type WayArguments, wayFiles } from './chosen-way.ts';
import type { IsolationMethod } from './executors/index.ts';
import { runAgent } from './main.ts';

/** What a person or a supervisor may say on the command line of an agent. */
export interface AgentArguments {
  readonly directory: string;
  readonly way: WayArguments;
  /** A file of authorities to trust beside the system's. */
  readonly authorities?: string;
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
  try {
    if (options.authorities !== undefined) trustAuthorities(options.authorities);
    return await runAgent({
      directory: resolve(options.directory),
      slots: options.slots,
      drainSeconds: options.drainSeconds,
      json: options.json,
      signal: drain.signal,
      hurry: hurry.signal,
      write: (line) => process.stdout.write(`${line}\n`),
      way: () => chosenWay(options.way),
      hiddenFiles: wayFiles(options.way).map((path) => resolve(path)),
      ...(options.isolation !== undefined && { isolation: options.isolation }),
    });
  } finally {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.off(name, onSignal);
    if (options.withParent) process.stdin.destroy();
  }
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
      installation: { type: 'string' },
      'oidc-token-file': { type: 'string' },
      certificate: { type: 'string' },
      'certificate-key': { type: 'string' },
      ca: { type: 'string' },
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
    way: {
      ...environmentWay(process.env),
      ...(values['code-file'] !== undefined && { codeFile: values['code-file'] }),
      ...(values.installation !== undefined && { installation: values.installation }),
      ...(values['oidc-token-file'] !== undefined && { oidcTokenFile: values['oidc-token-file'] }),
      ...(values.certificate !== undefined && { certificateFile: values.certificate }),
      ...(values['certificate-key'] !== undefined && { certificateKeyFile: values['certificate-key'] }),
    },
    ...(values.ca !== undefined && { authorities: values.ca }),
    ...(isolation !== undefined && { isolation }),
  });
}

if (import.meta.main) await main();
