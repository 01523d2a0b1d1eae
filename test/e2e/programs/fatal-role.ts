/**
 * One role of an installation that kills itself with SIGKILL at the point named in a file, and takes the file away first:
 * `node fatal-role.ts <directory> <role> <file>`. A point is `before` or `after` and what is done: a command of the ledger or an
 * item the broker asks an adapter.
 */
import { readFileSync, rmSync } from 'node:fs';
import { startLocalAdapter } from '../../../adapters/jobs/local/main.ts';
import { startBridge } from '../../../adapters/storage/bridge/main.ts';
import type { AnswerAsk } from '../../../adapters/adapter-program.ts';
import { dropReader } from '../../../cli/campaign/drop-reader.ts';
import type { LedgerKeeping } from '../../../broker/ledger/keeping.ts';
import type { Ledger } from '../../../broker/ledger/ledger.ts';
import { openSqliteLedger } from '../../../broker/ledger/sqlite.ts';
import { startBroker } from '../../../broker/main.ts';
import type { RoleConfigurations } from '../../../cli/configuration/role-configurations.ts';
import { controlSocket, readConfiguration, type Role, roleDirectory } from '../../../cli/installation.ts';
import { createLog } from '../../../protocol/runtime/log.ts';

const [directory = '', name = '', armed = ''] = process.argv.slice(2);

const SLOW_MS = 1_000;

function at(point: string): void {
  if (pointArmed() !== point) return;
  rmSync(armed);
  process.kill(process.pid, 'SIGKILL');
}

function pointArmed(): string | undefined {
  try {
    return readFileSync(armed, 'utf8');
  } catch {
    return undefined; // nothing is armed
  }
}

function fatalLedger(inner: Ledger & LedgerKeeping): Ledger & LedgerKeeping {
  return {
    async apply(commands) {
      for (const { kind } of commands) at(`before ${kind}`);
      const outcomes = await inner.apply(commands);
      for (const { kind } of commands) at(`after ${kind}`);
      return outcomes;
    },
    due: (limit) => inner.due(limit),
    list: (query, after, limit) => inner.list(query, after, limit),
    job: (id) => inner.job(id),
    agent: (id) => inner.agent(id),
    owner: (id) => inner.owner(id),
    nowMs: () => inner.nowMs(),
    agents: (after, limit) => inner.agents(after, limit),
    accounts: (after, limit) => inner.accounts(after, limit),
    count: () => inner.count(),
    prune: (retention, limit) => inner.prune(retention, limit),
    snapshot: (path, onProgress) => inner.snapshot(path, onProgress),
    close: () => inner.close(),
  };
}

function around(answer: AnswerAsk): AnswerAsk {
  return async (item) => {
    at(`before ${item.op}`);
    if (item.op === 'verify' && pointArmed()?.endsWith(' verified') === true) await pastTheWait();
    const answered = await answer(item);
    at(`after ${item.op}`);
    return answered;
  };
}

/** A storage so slow that the broker records the report alone: the verdict is then a command of its own (docs/adr/0019). */
function pastTheWait(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, SLOW_MS));
}

async function configured<R extends Role>(role: R): Promise<RoleConfigurations[R]> {
  const configuration = await readConfiguration(directory, role);
  if (configuration === undefined) throw new Error(`no configuration of ${role} in ${directory}`);
  return configuration;
}

function start(role: string) {
  const log = createLog(role, { level: 'info' });
  switch (role) {
    case 'broker':
      return startTheBroker();
    case 'local':
      return configured('local').then((configuration) =>
        startLocalAdapter({ ...placeOf('local'), log, configuration, around, reader: dropReader }),
      );
    case 'bridge':
      return configured('bridge').then((configuration) =>
        startBridge({ directory: roleDirectory(directory, 'bridge'), log, configuration, around }),
      );
    default:
      throw new Error(`there is no role ${role}`);
  }
}

async function startTheBroker() {
  return startBroker({
    ...placeOf('broker'),
    log: createLog('broker', { level: 'info' }),
    configuration: await configured('broker'),
    openLedger: async (options) => fatalLedger(await openSqliteLedger(options)),
    onFatal: () => process.kill(process.pid, 'SIGTERM'),
  });
}

function placeOf(role: Role): { readonly directory: string; readonly controlSocket: string } {
  return { directory: roleDirectory(directory, role), controlSocket: controlSocket(directory, role) };
}

const program = await start(name);
process.stdin
  .on('end', () => {
    void program.stop().finally(() => process.stdin.destroy());
  })
  .resume();
process.stdout.write(`${JSON.stringify({ event: 'ready' })}\n`);
