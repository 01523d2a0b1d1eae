#!/usr/bin/env node
import { Command } from 'commander';
import { EXIT } from './cli/command-line.ts';
import { addAgentCommands } from './cli/commands/agent.ts';
import { addCampaignCommands } from './cli/commands/campaign.ts';
import { addConformanceCommands } from './cli/commands/conformance.ts';
import { addConfigCommands } from './cli/commands/config.ts';
import { addDoctorCommand } from './cli/commands/doctor.ts';
import { addJobCommands } from './cli/commands/job.ts';
import { addQueueCommands } from './cli/commands/queue.ts';
import { addUpCommand } from './cli/commands/up.ts';
import { addLedgerCommands } from './cli/commands/ledger.ts';
import manifest from './package.json' with { type: 'json' };

const program = new Command('co-pilot')
  .description("run an experiment's jobs on machines nobody can trust")
  .version(manifest.version)
  .showHelpAfterError('run with --help to see what there is')
  .exitOverride((error) => {
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    throw error;
  });

addUpCommand(program);
addAgentCommands(program);
addJobCommands(program);
addCampaignCommands(program);
addQueueCommands(program);
addConformanceCommands(program);
addConfigCommands(program);
addLedgerCommands(program);
addDoctorCommand(program);

try {
  await program.parseAsync();
} catch (caught) {
  // commander has said what is wrong; its exit code is set above.
  if (!(caught instanceof Error && 'exitCode' in caught)) throw caught;
}
