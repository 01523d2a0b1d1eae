#!/usr/bin/env node
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { Command } from 'commander';
import { EXIT } from './cli/command-line.ts';
import manifest from './package.json' with { type: 'json' };

/** What each noun adds; loaded when it is asked for, so that nobody waits for the others. */
const NOUNS: Readonly<Record<string, (program: Command) => Promise<void>>> = {
  up: async (to) => (await import('./cli/commands/up.ts')).addUpCommand(to),
  agent: async (to) => (await import('./cli/commands/agent.ts')).addAgentCommands(to),
  job: async (to) => (await import('./cli/commands/job.ts')).addJobCommands(to),
  campaign: async (to) => (await import('./cli/commands/campaign.ts')).addCampaignCommands(to),
  queue: async (to) => (await import('./cli/commands/queue.ts')).addQueueCommands(to),
  conformance: async (to) => (await import('./cli/commands/conformance.ts')).addConformanceCommands(to),
  bus: async (to) => (await import('./cli/commands/bus.ts')).addBusCommands(to),
  broker: async (to) => (await import('./cli/commands/broker.ts')).addBrokerCommands(to),
  key: async (to) => (await import('./cli/commands/key.ts')).addKeyCommands(to),
  config: async (to) => (await import('./cli/commands/config.ts')).addConfigCommands(to),
  ledger: async (to) => (await import('./cli/commands/ledger.ts')).addLedgerCommands(to),
  accounting: async (to) => (await import('./cli/commands/accounting.ts')).addAccountingCommand(to),
  doctor: async (to) => (await import('./cli/commands/doctor.ts')).addDoctorCommand(to),
};

// In a folder of our own: what others may write to is nothing to run.
enableCompileCache(join(import.meta.dirname, '.tools', 'compiled'));

const program = new Command('co-pilot')
  .description("run an experiment's jobs on machines nobody can trust")
  .version(manifest.version)
  .showHelpAfterError('run with --help to see what there is')
  .exitOverride((error) => {
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    throw error;
  });

const noun = NOUNS[process.argv[2] ?? ''];
for (const add of noun === undefined ? Object.values(NOUNS) : [noun]) await add(program);

try {
  await program.parseAsync();
} catch (caught) {
  // commander has said what is wrong; its exit code is set above.
  if (!(caught instanceof Error && 'exitCode' in caught)) throw caught;
}
