import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { trustAuthorities } from './authority.ts';
import { chosenWay, environmentWay, type WayArguments, wayFiles } from './chosen-way.ts';
import { CoPilotError } from '../protocol/errors.ts';
import { createLog } from '../protocol/runtime/log.ts';
import { createNodeRuntime } from '../protocol/runtime/node-runtime.ts';
import type { IsolationMethod } from './executors/index.ts';
import { runAgent, type RunAgentOptions } from './main.ts';
import { toldAccount } from './vm/told-account.ts';
import { beginWrapperDuty, type WrapperDuty } from './vm/wrapper-duty.ts';
import { createWrapperFiles } from './vm/wrapper-files.ts';

/** What a person or a supervisor may say on the command line of an agent. */
export interface AgentArguments {
  readonly directory: string;
  readonly way: WayArguments;
  /** Where a virtual machine was told of a BOINC account to enrol with, instead. */
  readonly context?: string;
  /** The directory that BOINC's vboxwrapper shares with this virtual machine. */
  readonly boincShared?: string;
  /** BOINC's task is done after so long; never where it is left out. */
  readonly boincHours?: number;
  /** Without a job for so long BOINC puts the machine away for an hour. */
  readonly boincIdleMinutes?: number;
  /** A file that says what every job gets here. */
  readonly environmentFile?: string;
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
    const duty = await wrapperDutyOf(options, () => drain.abort());
    const exitCode = await runAgent({
      way: () => chosenWay(options.way),
      hiddenFiles: wayFiles(options.way).map((path) => resolve(path)),
      ...(await ownerOf(options)),
      ...(duty !== undefined && { onEvent: duty.onEvent }),
      directory: resolve(options.directory),
      ...(options.environmentFile !== undefined && { environmentFile: resolve(options.environmentFile) }),
      slots: options.slots,
      drainSeconds: options.drainSeconds,
      json: options.json,
      signal: drain.signal,
      hurry: hurry.signal,
      write: (line) => process.stdout.write(`${line}\n`),
      ...(options.isolation !== undefined && { isolation: options.isolation }),
    });
    await duty?.finish();
    return exitCode;
  } finally {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.off(name, onSignal);
    if (options.withParent) process.stdin.destroy();
  }
}

/** Whose machine this is, where it is a volunteer's. */
async function ownerOf({
  context,
  way: { installation, code, codeFile, oidcTokenFile },
  boincShared,
}: AgentArguments): Promise<Pick<RunAgentOptions, 'way' | 'ownersFiles'>> {
  const shared = boincShared === undefined ? undefined : resolve(boincShared);
  const files = shared === undefined ? [] : [shared];
  if (context === undefined) return shared === undefined ? {} : { ownersFiles: files };
  if (code !== undefined || codeFile !== undefined || oidcTokenFile !== undefined)
    throw new CoPilotError('INVALID_REQUEST', 'an agent enrols in one way: say --context or the other');
  const told = await toldAccount(
    { context, ...(installation !== undefined && { installation }), ...(shared !== undefined && { shared }) },
    process.env,
  );
  return { way: told.way, ownersFiles: [...told.ownersFiles, ...files] };
}

const IDLE_MINUTES = 30;

async function wrapperDutyOf(
  { boincShared, boincHours, boincIdleMinutes = IDLE_MINUTES }: AgentArguments,
  drain: () => void,
): Promise<WrapperDuty | undefined> {
  if (boincShared === undefined) return undefined;
  if (!(boincIdleMinutes >= 1) || (boincHours !== undefined && !(boincHours > 0)))
    throw new CoPilotError('INVALID_REQUEST', '--boinc-hours and --boinc-idle are numbers above 0');
  return beginWrapperDuty({
    runtime: createNodeRuntime(createLog('agent', { level: 'warn' })),
    files: createWrapperFiles(resolve(boincShared)),
    idleMinutes: boincIdleMinutes,
    ...(boincHours !== undefined && { hours: boincHours }),
    drain,
  });
}

const METHODS: readonly IsolationMethod[] = ['bubblewrap', 'unshare', 'uid', 'none'];

function isolationOf(text: string | undefined): IsolationMethod | undefined {
  if (text === undefined) return undefined;
  const method = METHODS.find((entry) => entry === text);
  if (method === undefined) throw new Error(`--isolation is one of ${METHODS.join(', ')}`);
  return method;
}

/** What is said of BOINC, as words of a command line. */
export function boincArguments(
  shared: string | undefined,
  hours: string | undefined,
  idle: string | undefined,
): Pick<AgentArguments, 'boincShared' | 'boincHours' | 'boincIdleMinutes'> {
  return {
    ...(shared !== undefined && { boincShared: shared }),
    ...(hours !== undefined && { boincHours: Number(hours) }),
    ...(idle !== undefined && { boincIdleMinutes: Number(idle) }),
  };
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
      context: { type: 'string' },
      'boinc-shared': { type: 'string' },
      'boinc-hours': { type: 'string' },
      'boinc-idle': { type: 'string' },
      ca: { type: 'string' },
      environment: { type: 'string' },
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
    ...(values.context !== undefined && { context: values.context }),
    ...boincArguments(values['boinc-shared'], values['boinc-hours'], values['boinc-idle']),
    ...(values.ca !== undefined && { authorities: values.ca }),
    ...(values.environment !== undefined && { environmentFile: values.environment }),
    ...(isolation !== undefined && { isolation }),
  });
}

if (import.meta.main) await main();
