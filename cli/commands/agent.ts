import { resolve } from 'node:path';
import type { Command } from 'commander';
import { EXIT, show } from '../command-line.ts';
import { askBroker } from '../connection.ts';
import type { IsolationMethod } from '../../agent/executors/index.ts';
import { addAgentManagement } from './agent-manage.ts';
import { action, type CommonOptions, outputOf, withCommon } from './common.ts';

interface RunOptions {
  readonly directory: string;
  readonly code?: string;
  readonly codeFile?: string;
  readonly slots: string;
  readonly isolation?: IsolationMethod;
  readonly drain: string;
  readonly json?: boolean;
}

interface CodeOptions extends CommonOptions {
  readonly owner: string;
  readonly site: string;
  readonly hours: string;
}

/** `co-pilot agent …`: run an agent here, or manage those a broker serves. */
export function addAgentCommands(program: Command): void {
  const agent = program.command('agent').description('run an agent, and manage agents');
  agent
    .command('run')
    .description('run an agent on this machine')
    .requiredOption('--directory <directory>', 'where the agent keeps its keys and its jobs; its own, 0700')
    .option('--code <code>', 'one-use code from `co-pilot agent code`; needed once')
    .option('--code-file <file>', 'the same, from a file')
    .option('--slots <number>', 'jobs at once', '1')
    .option(
      '--isolation <method>',
      'bubblewrap, unshare, uid or none; the strongest that works where left out',
    )
    .option('--drain <seconds>', 'how long running jobs may go on after SIGTERM', '0')
    .option('--json', 'events as lines of JSON')
    .action(action(run));
  withCommon(agent.command('code'))
    .description('make a one-use code that enrols one agent')
    .option('--owner <name>', 'who answers for the agent', 'volunteer')
    .option('--site <name>', 'where it runs', 'home')
    .option('--hours <hours>', 'how long the code is good', '24')
    .action(action(code));
  addAgentManagement(agent);
}

async function run(options: RunOptions): Promise<number> {
  const { runAgentProgram } = await import('../../agent/program.ts');
  const { directory, code, codeFile, slots, isolation, drain, json } = options;
  return runAgentProgram({
    directory,
    slots: Number(slots),
    drainSeconds: Number(drain),
    json: json === true,
    withParent: false,
    ...(code !== undefined && { code }),
    ...(codeFile !== undefined && { codeFile }),
    ...(isolation !== undefined && { isolation }),
  });
}

async function code(options: CodeOptions): Promise<number> {
  const seconds = Math.round(Number(options.hours) * 3600);
  const body = { owner: options.owner, site: options.site, seconds };
  const made = await askBroker<{ readonly code: string; readonly seconds: number }>(
    resolve(options.data),
    'POST',
    '/v1/codes',
    body,
  );
  show(outputOf(options), made, () => [made.code]);
  return EXIT.ok;
}
