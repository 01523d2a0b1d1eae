import { Command, CommanderError } from 'commander';
import { addAccountingCommand } from '../../cli/commands/accounting.ts';
import { addAgentCommands } from '../../cli/commands/agent.ts';
import { addBrokerCommands } from '../../cli/commands/broker.ts';
import { addBusCommands } from '../../cli/commands/bus.ts';
import { addCampaignCommands } from '../../cli/commands/campaign.ts';
import { addConfigCommands } from '../../cli/commands/config.ts';
import { addDoctorCommand } from '../../cli/commands/doctor.ts';
import { addJobCommands } from '../../cli/commands/job.ts';
import { addKeyCommands } from '../../cli/commands/key.ts';
import { addLedgerCommands } from '../../cli/commands/ledger.ts';
import { addQueueCommands } from '../../cli/commands/queue.ts';

/** What a command came to. */
export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const COMMANDS = [
  addAccountingCommand,
  addAgentCommands,
  addBrokerCommands,
  addBusCommands,
  addJobCommands,
  addCampaignCommands,
  addConfigCommands,
  addDoctorCommand,
  addKeyCommands,
  addLedgerCommands,
  addQueueCommands,
];

/** Runs a command of ours in this process, one at a time: as a shell would, without the second that a new process takes. */
export async function runCommand(args: readonly string[]): Promise<Said> {
  const program = new Command('co-pilot').exitOverride();
  for (const add of COMMANDS) add(program);
  const out: string[] = [];
  const err: string[] = [];
  const restore = [hear(process.stdout, out), hear(process.stderr, err)];
  const before = process.exitCode;
  try {
    process.exitCode = 0;
    await program.parseAsync([...args], { from: 'user' });
    return { code: process.exitCode, out: out.join(''), err: err.join('') };
  } catch (caught) {
    if (!(caught instanceof CommanderError)) throw caught;
    return { code: 64, out: out.join(''), err: err.join('') };
  } finally {
    process.exitCode = before;
    for (const undo of restore) undo();
  }
}

/** Takes what is written to a stream away from it; answers how to give it back. */
function hear(stream: NodeJS.WriteStream, into: string[]): () => void {
  const write = stream.write.bind(stream);
  stream.write = (chunk: string | Uint8Array): boolean => {
    into.push(String(chunk));
    return true;
  };
  return () => {
    stream.write = write;
  };
}
