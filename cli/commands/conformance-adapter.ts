import type { Command } from 'commander';
import { adapterCommandSubject } from '../../conformance/adapter/command-subject.ts';
import { createAdapterSuite } from '../../conformance/adapter/suite.ts';
import { createLog } from '../../protocol/runtime/log.ts';
import { createNodeRuntime } from '../../protocol/runtime/node-runtime.ts';
import { runConformance, type SuiteOptions } from '../conformance-run.ts';
import { action } from './common.ts';
import { usage } from './conformance-broker.ts';

interface AdapterSuiteOptions extends SuiteOptions {
  readonly kind?: string;
  readonly command?: string;
  readonly submit?: string;
  readonly cancel?: string;
  readonly putInput?: string;
}

export function addAdapterOptions(command: Command): void {
  command
    .description('play bus and broker to a job adapter or a storage adapter')
    .option('--kind <kind>', 'job or storage')
    .option(
      '--command <command>',
      'starts the adapter; {configuration} is its JSON file, {directory} a directory of its own',
    )
    .option('--submit <command>', 'job: puts the description {file} into {queue} and prints the id')
    .option('--cancel <command>', 'job: the framework wants {job} no more')
    .option('--put-input <command>', 'storage: makes {file} an input')
    .addHelpText(
      'after',
      `
Commands are split into words and never given to a shell. The suite is bus and broker in one. Of the adapter it needs that it
takes its installation, name, key, brokers, bus and grant key from {configuration}, and ends on SIGTERM.
Exit codes: 0 every case passed, 1 some failed, 64 wrong options, 69 the adapter cannot be started.`,
    )
    .action(action(adapter));
}

async function adapter(options: AdapterSuiteOptions): Promise<number> {
  const { kind, command } = options;
  if (options.list === true)
    return runConformance('adapter', options, () => Promise.reject(new Error('only listed')));
  if (kind !== 'job' && kind !== 'storage') return usage('--kind is job or storage');
  if (command === undefined) return usage('name the adapter with --command');
  const runtime = createNodeRuntime(createLog('conformance', { level: 'error' }));
  return runConformance('adapter', options, () =>
    createAdapterSuite({
      runtime,
      subject: adapterCommandSubject({ ...options, kind, command }),
      patience: Number(options.patience),
    }),
  );
}
