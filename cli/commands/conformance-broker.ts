import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { commandSubject } from '../../conformance/broker/command-subject.ts';
import { createBrokerSuite } from '../../conformance/broker/suite.ts';
import { createLog } from '../../protocol/runtime/log.ts';
import { createNodeRuntime } from '../../protocol/runtime/node-runtime.ts';
import { EXIT } from '../command-line.ts';
import { runConformance, type SuiteOptions } from '../conformance-run.ts';
import { action } from './common.ts';

interface BrokerSuiteOptions extends SuiteOptions {
  readonly address?: string;
  readonly enrolmentCodeFile?: string;
  readonly submit?: string;
  readonly queue: string;
  readonly cancel?: string;
  readonly revoke?: string;
  readonly restart?: string;
}

const CODES = 3;

export function addBrokerOptions(command: Command): void {
  command
    .description('play agents against a broker')
    .option('--address <url>', 'its WebSocket bus; what the enrolment names where left out')
    .option('--enrolment-code-file <file>', 'three one-use codes, one a line')
    .option(
      '--submit <command>',
      'submits one job and prints its id; {file} is its description, {campaign} a campaign file',
    )
    .option('--queue <name>', 'the queue named in {campaign}', 'main')
    .option('--cancel <command>', 'cancels {job}')
    .option('--revoke <command>', 'revokes {agent}')
    .option('--restart <command>', 'ends the broker, starts it again, and returns when it is back')
    .addHelpText(
      'after',
      `
Commands are split into words and never given to a shell. Of the broker the suite needs:
  - three one-use codes that nobody has used; the agents behind them are spent afterwards;
  - a way to submit jobs into a queue whose leases run 3 s or less;
  - a storage that agents reach, which is a Data Bridge;
  - that nothing else runs in that queue.
Run it with --at-once 3: there are three agents.
Exit codes: 0 every case passed, 1 some failed, 64 wrong options, 69 the broker cannot be reached.`,
    )
    .action(action(broker));
}

async function broker(options: BrokerSuiteOptions): Promise<number> {
  const { enrolmentCodeFile: file, submit } = options;
  if (options.list === true)
    return runConformance('broker', options, () => Promise.reject(new Error('only listed')));
  if (file === undefined || submit === undefined) return usage('give --enrolment-code-file and --submit');
  const codes = (await readFile(file, 'utf8'))
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (codes.length !== CODES) return usage(`${file} holds ${codes.length} codes; ${CODES} are needed`);
  const runtime = createNodeRuntime(createLog('conformance', { level: 'error' }));
  return runConformance('broker', options, () =>
    createBrokerSuite({
      runtime,
      subject: commandSubject({ ...options, codes, submit }),
      patience: Number(options.patience),
    }),
  );
}

export function usage(text: string): number {
  process.stderr.write(`co-pilot: ${text}, or see the cases with --list\n`);
  return EXIT.usage;
}
