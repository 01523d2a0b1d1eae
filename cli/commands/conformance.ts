import type { Command } from 'commander';
import { LEVELS } from '../../conformance/case.ts';
import { openAgentSuite } from '../../conformance/agent/suite.ts';
import { EXIT } from '../command-line.ts';
import { runConformance, type SuiteOptions } from '../conformance-run.ts';
import { action } from './common.ts';
import { addAdapterOptions } from './conformance-adapter.ts';
import { addBrokerOptions } from './conformance-broker.ts';

interface AgentSuiteOptions extends SuiteOptions {
  readonly command?: string;
  readonly without?: readonly string[];
}

/** `co-pilot conformance …`: holds somebody's agent, broker or adapter against docs/protocol.md. */
export function addConformanceCommands(program: Command): void {
  const conformance = program
    .command('conformance')
    .description('test an implementation of the protocol, requirement by requirement');
  addAgentSuite(conformance);
  addBrokerOptions(withSuiteOptions(conformance.command('broker')));
  addAdapterOptions(withSuiteOptions(conformance.command('adapter')));
}

/** Options of every suite; docs/conformance.md explains them. */
function withSuiteOptions(command: Command): Command {
  return command
    .option('--level <level>', `cases up to this level: ${LEVELS.join(', ')}`, 'full')
    .option('--only <case...>', 'only these cases, whatever their level')
    .option('--list', 'show the cases; needs no subject')
    .option('--json', 'the report as one JSON document on standard output')
    .option('--junit <file>', 'write the report as JUnit XML too')
    .option('--at-once <number>', 'cases at once', '8')
    .option('--patience <factor>', 'multiplies every deadline, for slow subjects and busy machines', '1');
}

function addAgentSuite(conformance: Command): void {
  withSuiteOptions(conformance.command('agent'))
    .description('play the broker against an agent')
    .option(
      '--command <command>',
      'starts the agent; split into words, never given to a shell; {directory}, {codeFile} and {code} are filled in',
    )
    .option(
      '--without <capability...>',
      'what the agent lacks though it may have it; see docs/conformance.md',
    )
    .addHelpText(
      'after',
      `
The suite is enrolment, broker and storage in one; it needs no other program. Of the agent it needs:
  - one slot, and a command that is the agent itself, not a script that starts it and goes away;
  - that {directory}, its own, is where it keeps everything, and that it goes on from there when it is started again;
  - that {codeFile} holds a one-use code, or {code} is one, which it uses once;
  - that SIGTERM drains it;
  - that sh, cat, env and sleep are on the path of its jobs.
Exit codes: 0 every case passed, 1 some failed, 64 wrong options, 69 the agent cannot be started.`,
    )
    .action(action(agent));
}

async function agent(options: AgentSuiteOptions): Promise<number> {
  const { command, without = [] } = options;
  if (command === undefined && options.list !== true) {
    process.stderr.write('co-pilot: name the agent with --command, or see the cases with --list\n');
    return EXIT.usage;
  }
  return runConformance('agent', options, () =>
    openAgentSuite({ command: command ?? '', without, patience: Number(options.patience) }),
  );
}
