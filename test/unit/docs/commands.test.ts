import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { AGENT_EXIT } from '../../../agent/exit-codes.ts';
import { EXIT } from '../../../cli/command-line.ts';
import { addAgentCommands } from '../../../cli/commands/agent.ts';
import { addConfigCommands } from '../../../cli/commands/config.ts';
import { addDoctorCommand } from '../../../cli/commands/doctor.ts';
import { addJobCommands } from '../../../cli/commands/job.ts';
import { addLedgerCommands } from '../../../cli/commands/ledger.ts';
import { addUpCommand } from '../../../cli/commands/up.ts';
import { fenced, firstCells, page, pages } from './pages.ts';

const { scripts } = JSON.parse(page('package.json')) as { scripts: Record<string, string> };

const program = new Command('co-pilot');
addJobCommands(program);
addAgentCommands(program);
addConfigCommands(program);
addLedgerCommands(program);
addDoctorCommand(program);
addUpCommand(program);

const commands = pages().flatMap(({ path, text }) =>
  fenced(text, 'sh')
    .flatMap((block) => block.split('\n'))
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => ({ path, line })),
);

function isKnown(line: string): boolean {
  const words = line.split(/\s+/);
  if (words[0] === 'co-pilot') return takes(program, words.slice(1));
  if (words[0] !== 'npm') return false;
  const script = words[1] === 'run' ? words[2] : words[1];
  if (script === 'start') return takes(program, ['up', ...words.slice(words[2] === '--' ? 3 : 2)]);
  return script !== undefined && script in scripts;
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
  const rest = withoutOptions(command, option?.required === true ? after.slice(1) : after);
  return rest === undefined || option !== undefined ? rest : [word, ...rest];
}

describe('the commands in the documents', () => {
  it('are found', () => {
    expect(commands.length).toBeGreaterThan(20);
  });

  it.each(commands)('$path: $line', ({ line }) => {
    expect(isKnown(line)).toBe(true);
  });

  it.each([
    'npm run tests',
    'npm start -- --chaoss',
    'co-pilot up --twice',
    'co-pilot jobs list',
    'co-pilot job',
    'co-pilot job show',
    'co-pilot job show A B',
    'co-pilot job submit a.yaml --await',
    'rm -rf x',
  ])('would not pass as %s', (line) => {
    expect(isKnown(line)).toBe(false);
  });

  it('of the README are the two that CI runs and a newcomer types', () => {
    expect(fenced(page('README.md'), 'sh')[0]).toBe('npm start\nnpm test\n');
    expect(page('.ci/run')).toContain(' npm test\n');
  });
});

describe('the exit codes in docs/operator.md', () => {
  it('are those of the command line and of the agent, each once', () => {
    const told = firstCells(page('docs/operator.md')).filter((cell) => /^\d+$/.test(cell));
    const real = new Set([...Object.values(EXIT), ...Object.values(AGENT_EXIT)]);
    expect(told.map(Number)).toEqual([...real].toSorted((one, other) => one - other));
  });
});
