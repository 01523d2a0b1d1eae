import { resolve } from 'node:path';
import type { Command } from 'commander';
import { EXIT, show } from '../command-line.ts';
import { loadConfiguration } from '../configuration/load.ts';
import { addInstance } from '../keys/add-instance.ts';
import { action, type CommonOptions, outputOf, withCommon } from './common.ts';

interface AddOptions extends CommonOptions {
  readonly to: string;
}

/** `co-pilot broker add`: another broker for the same agents, adapters and ledger. */
export function addBrokerCommands(program: Command): void {
  const broker = program.command('broker').description('several brokers on one bus server and one ledger');
  withCommon(broker.command('add').argument('<name>', 'the name of the new instance'))
    .description('make the folder of another broker, which the adapters then believe')
    .requiredOption('--to <directory>', 'the installation folder of the new broker')
    .action(action(add));
}

async function add(name: string, options: AddOptions): Promise<number> {
  const directory = resolve(options.data);
  const { settings } = await loadConfiguration({ directory, environment: process.env });
  const to = resolve(options.to);
  const written = await addInstance({ directory, to, name, settings });
  show(outputOf(options), { instance: name, directory: to, written }, () => [
    ...written.map((path) => `written: ${path}`),
    `Start it with: co-pilot up --role broker --data ${to}`,
  ]);
  return EXIT.ok;
}
