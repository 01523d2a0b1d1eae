import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { idIn, runCommand, startCommand } from '../run-command.ts';
import type { AdapterConfiguration, AdapterKind, AdapterSubject } from './subject.ts';

const MAX_WORDS = 2_000;

/** How an adapter is started and driven by commands. */
export interface AdapterCommands {
  readonly kind: AdapterKind;
  /** With `{configuration}`, `{directory}` or both; runs until SIGTERM. */
  readonly command: string;
  /** With `{file}`, `{queue}`; prints the job's id. */
  readonly submit?: string;
  /** With `{job}`. */
  readonly cancel?: string;
  /** With `{file}`. */
  readonly putInput?: string;
}

/** An adapter behind commands. */
export function adapterCommandSubject(commands: AdapterCommands): AdapterSubject {
  const { kind, command, submit, cancel, putInput } = commands;
  let child: ChildProcess | undefined;
  let words = '';
  return {
    kind,
    start: async (configuration) => {
      const running = await start(command, configuration);
      child = running.child;
      child.stderr?.on('data', (chunk: Buffer) => {
        words = (words + chunk.toString('utf8')).slice(-MAX_WORDS);
      });
      return running.stop;
    },
    ended: () =>
      child === undefined || (child.exitCode ?? child.signalCode) === null
        ? undefined
        : `it ended with ${child.exitCode ?? child.signalCode}: ${words}`,
    ...(submit !== undefined && {
      submit: async (job, queue, signal) =>
        idIn(await withFile(JSON.stringify(job), (file) => runCommand(submit, { file, queue }, signal))),
    }),
    ...(cancel !== undefined && {
      cancel: async (job, signal) => {
        await runCommand(cancel, { job }, signal);
      },
    }),
    ...(putInput !== undefined && {
      putInput: async (content, signal) => {
        await withFile(content, (file) => runCommand(putInput, { file }, signal));
      },
    }),
  };
}

async function start(
  command: string,
  configuration: AdapterConfiguration,
): Promise<{ readonly child: ChildProcess; readonly stop: () => Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), 'co-pilot-conformance-'));
  const path = join(directory, 'configuration.json');
  await writeFile(path, JSON.stringify(configuration), { mode: 0o600 });
  const child = startCommand(command, { configuration: path, directory });
  child.stdout?.resume();
  child.stderr?.resume();
  await once(child, 'spawn');
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    await rm(directory, { recursive: true, force: true });
  };
  return { child, stop };
}

async function withFile<T>(content: string | Uint8Array, use: (file: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'co-pilot-conformance-'));
  try {
    const file = join(directory, 'file');
    await writeFile(file, content);
    return await use(file);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
