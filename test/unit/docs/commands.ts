import { Command } from 'commander';
import { addAccountingCommand } from '../../../cli/commands/accounting.ts';
import { addAgentCommands } from '../../../cli/commands/agent.ts';
import { addBrokerCommands } from '../../../cli/commands/broker.ts';
import { addBusCommands } from '../../../cli/commands/bus.ts';
import { addCampaignCommands } from '../../../cli/commands/campaign.ts';
import { addConfigCommands } from '../../../cli/commands/config.ts';
import { addConformanceCommands } from '../../../cli/commands/conformance.ts';
import { addDoctorCommand } from '../../../cli/commands/doctor.ts';
import { addJobCommands } from '../../../cli/commands/job.ts';
import { addKeyCommands } from '../../../cli/commands/key.ts';
import { addLedgerCommands } from '../../../cli/commands/ledger.ts';
import { addQueueCommands } from '../../../cli/commands/queue.ts';
import { addUpCommand } from '../../../cli/commands/up.ts';
import { splitWords } from '../../../conformance/command-words.ts';
import { page } from './pages.ts';

const { scripts } = JSON.parse(page('package.json')) as { scripts: Record<string, string> };

const program = new Command('co-pilot');
addAccountingCommand(program);
addJobCommands(program);
addAgentCommands(program);
addCampaignCommands(program);
addQueueCommands(program);
addConformanceCommands(program);
addBusCommands(program);
addBrokerCommands(program);
addKeyCommands(program);
addConfigCommands(program);
addLedgerCommands(program);
addDoctorCommand(program);
addUpCommand(program);

const PYTHON_AGENT = 'examples/python-agent/agent.py';

/** Whether a line of a page is a command that there is, with options and arguments that it takes. */
export function isDocumentedCommand(line: string): boolean {
  const words = splitWords(line.trim().replace(/ > [\w./-]+$/, ''));
  if (words[0] === 'co-pilot') return takes(program, words.slice(1));
  if (words[0] === 'python3') return isKnownToPython(words.slice(1));
  if (words[0] !== 'npm') return false;
  const script = words[1] === 'run' ? words[2] : words[1];
  if (script === 'start') return takes(program, ['up', ...words.slice(words[2] === '--' ? 3 : 2)]);
  return script !== undefined && script in scripts;
}

/** The agent in Python with options that it has, or the tests beside it. */
function isKnownToPython([script = '', ...args]: readonly string[]): boolean {
  if (script === '-m') return args.join(' ') === 'unittest';
  if (script !== PYTHON_AGENT) return false;
  const options = new Set(
    [...page(PYTHON_AGENT).matchAll(/add_argument\('(--[a-z-]+)'/g)].map(([, name]) => name),
  );
  return args.every((word, index) => options.has(word) || options.has(args[index - 1] ?? ''));
}

/** Whether a command or one below it takes these words: sub-commands and options that exist, as many arguments as it has. */
function takes(command: Command, words: readonly string[]): boolean {
  const inner = command.commands.find((candidate) => candidate.name() === words[0]);
  if (inner !== undefined) return takes(inner, words.slice(1));
  const rest = withoutOptions(command, words);
  const all = command.registeredArguments;
  const needed = all.filter(({ required }) => required).length;
  const most = all.some(({ variadic }) => variadic) ? Infinity : all.length;
  return command.commands.length === 0 && rest !== undefined && rest.length >= needed && rest.length <= most;
}

/** The arguments left when every option and its value is taken away; undefined where there is no such option. */
function withoutOptions(command: Command, words: readonly string[]): readonly string[] | undefined {
  const [word, ...after] = words;
  if (word === undefined) return [];
  const option = command.options.find(({ long }) => long === word);
  if (word.startsWith('--') && option === undefined) return undefined;
  const rest = withoutOptions(
    command,
    option?.required === true ? afterValue(after, option.variadic) : after,
  );
  return rest === undefined || option !== undefined ? rest : [word, ...rest];
}

/** What follows an option's value, or its values where it takes several. */
function afterValue(words: readonly string[], isVariadic: boolean): readonly string[] {
  const next = words.findIndex((word, at) => at > 0 && (!isVariadic || word.startsWith('--')));
  return next < 0 ? [] : words.slice(next);
}
