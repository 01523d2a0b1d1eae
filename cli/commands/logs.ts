import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { StoredJob } from '../../broker/ledger/ledger.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import { EXIT, type Output, show } from '../command-line.ts';
import { askBroker, type Connection, connect } from '../connection.ts';
import { safeLine, safeText } from '../display/safe-text.ts';
import { type AttemptLog, attemptLogs, newText } from '../log-tails.ts';
import { queueChanges } from '../watch.ts';
import { action, type CommonOptions, countOf, outputOf, untilInterrupted, withCommon } from './common.ts';

interface LogsOptions extends CommonOptions {
  readonly attempt?: string;
  readonly follow?: boolean;
  readonly jsonl?: boolean;
}

interface JobLogs {
  readonly job: string;
  readonly state: string;
  readonly attempts: readonly AttemptLog[];
}

const FINAL = ['finished', 'failed', 'cancelled'];

export function addLogsCommand(job: Command): void {
  withCommon(job.command('logs').argument('<job>'))
    .description('the end of what each attempt of a job has written')
    .option('--attempt <number>', 'only this attempt')
    .option('--follow', 'go on with what running attempts write, as their renewals bring it')
    .option('--jsonl', 'one line of JSON for each attempt, with --follow for each piece')
    .action(action(logs));
}

async function logs(id: string, options: LogsOptions): Promise<number> {
  const output = outputOf(options);
  const directory = resolve(options.data);
  const attempt = options.attempt === undefined ? undefined : countOf(options.attempt, '--attempt');
  const connection = await connect(directory);
  const look = async (): Promise<JobLogs> => {
    const found = await read(connection, directory, id);
    const attempts = found.attempts.filter((one) => attempt === undefined || one.attempt === attempt);
    return { ...found, attempts };
  };
  if (options.follow === true) return untilInterrupted((signal) => follow(connection, look, output, signal));
  const found = await look();
  if (attempt !== undefined && found.attempts.length === 0)
    throw new CoPilotError(
      'NOT_FOUND',
      `job ${id} has no attempt ${attempt} that is remembered; \`co-pilot job logs ${id}\` shows those that are`,
    );
  if (output.jsonl) for (const one of found.attempts) output.write(JSON.stringify(one));
  else show(output, found, () => found.attempts.flatMap(logLines).concat(ifNone(found)));
  return EXIT.ok;
}

/** The broker alone knows what runs; where it does not answer, or never had the job, the queue says what it has. */
async function read({ queue }: Connection, directory: string, id: string): Promise<JobLogs> {
  const job = await queue.show(id);
  const attempts = await askBroker<StoredJob>(directory, 'GET', `/v1/jobs/${encodeURIComponent(id)}`)
    .then((stored) => stored.job.attempts)
    .catch((caught: unknown) => {
      if (caught instanceof CoPilotError && ['NOT_FOUND', 'UNREACHABLE'].includes(caught.code)) return [];
      throw caught;
    });
  return { job: job.job, state: job.state, attempts: attemptLogs(job, attempts) };
}

async function follow(
  { queue }: Connection,
  look: () => Promise<JobLogs>,
  output: Output,
  signal: AbortSignal,
): Promise<number> {
  if (output.json && !output.jsonl)
    throw new CoPilotError('INVALID_REQUEST', '--follow has no one document; take --jsonl with it');
  const tell = teller(output);
  const changes = queueChanges(queue, undefined, signal);
  try {
    while ((await changes.next()).done !== true) {
      const { state, attempts } = await look();
      for (const one of attempts) tell(one);
      if (FINAL.includes(state)) break;
    }
  } finally {
    await changes.return(undefined);
  }
  return EXIT.ok;
}

/** Says of each attempt what it has written since the last time. */
function teller(output: Output): (log: AttemptLog) => void {
  const seen = new Map<number, string>();
  let last = 0;
  return (log) => {
    const { attempt, agent, logTail } = log;
    const text = newText(seen.get(attempt) ?? '', logTail);
    seen.set(attempt, logTail);
    if (text === '') return;
    if (output.jsonl) output.write(JSON.stringify({ attempt, agent, text }));
    else {
      if (last !== attempt) output.write(heading(log));
      process.stdout.write(safeText(text));
    }
    last = attempt;
  };
}

function logLines(log: AttemptLog): readonly string[] {
  const text = safeText(log.logTail).trimEnd();
  return [heading(log), ...(text === '' ? [] : [text])];
}

function heading({ attempt, agent, state, reason }: AttemptLog): string {
  const who = agent === '' ? '' : ` on agent ${agent}`;
  return `--- attempt ${attempt}${who}: ${state}${reason === '' ? '' : `, ${safeLine(reason)}`}`;
}

function ifNone({ attempts, state }: JobLogs): readonly string[] {
  return attempts.length > 0 ? [] : [`no attempt has begun; the job is ${state}`];
}
