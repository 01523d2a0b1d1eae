import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startLocalAdapter } from '../../adapters/jobs/local/main.ts';
import { startBridge } from '../../adapters/storage/bridge/main.ts';
import { runAgent } from '../../agent/main.ts';
import { loadMembership } from '../../agent/store/agent-files.ts';
import { checkLedger } from '../../broker/ledger/check-ledger.ts';
import type { AgentListing } from '../../broker/http/agent-routes.ts';
import { openPostgresLedger } from '../../broker/ledger/postgres.ts';
import type { BrokerStatus } from '../../broker/service/broker.ts';
import { dropReader } from '../../cli/campaign/drop-reader.ts';
import { askBroker } from '../../cli/connection.ts';
import { type ControlClient, createControlClient } from '../../cli/control-client.ts';
import { controlSocket, openInstallation, type Role, roleDirectory } from '../../cli/installation.ts';
import { proveFromLedger } from '../../cli/ledger-proof.ts';
import { nodeClock } from '../../protocol/runtime/node-runtime.ts';
import { startPostgres } from '../servers/postgres.ts';
import { RunningCommand } from './co-pilot-command.ts';
import { runCommand } from './command-in-process.ts';
import { eventually } from './eventually.ts';
import { silentLog } from './silent-log.ts';
import { stageServer, type StagedServerKind } from './staged-server.ts';
import { removeDirectory, temporaryDirectory } from './temporary-directory.ts';

/** A real agent in this process, which enrolled, and how it ends. */
export interface StagedAgent {
  readonly id: string;
  /** The one it has now. */
  identity(): Promise<string>;
  readonly ended: Promise<number>;
}

/** Brokers as programs on one bus server and one PostgreSQL, with real adapters and agents in this process. */
export interface SeveralBrokers {
  /** The installation folder of a broker. */
  directoryOf(broker: string): string;
  readonly busUrl: string;
  /** `co-pilot broker add`. */
  add(broker: string): Promise<void>;
  /** Starts a broker's program, and waits until it serves. */
  start(broker: string): Promise<void>;
  /** The program of a broker that is not expected to serve. */
  begin(broker: string): RunningCommand;
  /** SIGKILL. */
  kill(broker: string): Promise<void>;
  status(broker: string): Promise<BrokerStatus>;
  /** An agent that enrols at this broker. */
  agent(broker: string, slots?: number): Promise<StagedAgent>;
  /** Agents that have a session there. */
  connected(broker: string): Promise<readonly string[]>;
  /** `co-pilot …` on the first broker's installation. */
  run(...args: readonly string[]): Promise<string>;
  submit(count: number, script: string): Promise<readonly string[]>;
  /** How many of the jobs are finished, as their queue has told. */
  finished(jobs: readonly string[]): number;
  /** From a copy of the whole ledger: what is wrong with it, and with these jobs. */
  faults(jobs: readonly string[]): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** The broker that an installation begins with. */
export const FIRST = 'broker-1';

const READY_MS = 60_000;
const SETTINGS = [
  'queues: { main: { leaseMs: 20000, firstRenewMs: 10000 } }',
  'broker: { sweepMs: 500, parkMs: 2000 }',
  'log: { level: warn }',
  '',
];

/** Names that brokers which are added may have. */
export const OTHERS = ['broker-2', 'broker-3', 'broker-4'];

export async function openSeveralBrokers(kind: StagedServerKind = 'rabbitmq'): Promise<SeveralBrokers> {
  const base = await temporaryDirectory('several');
  const databases = await temporaryDirectory('several-postgres');
  const directory = join(base, FIRST);
  const postgres = await startPostgres(databases);
  const server = await stageServer(kind, [FIRST, ...OTHERS]);
  await mkdir(directory, { mode: 0o755 });
  const settings = [server.setting, `ledger: { kind: postgres, url: "${postgres.url}" }`, ...SETTINGS];
  await writeFile(join(directory, 'co-pilot.yaml'), settings.join('\n'), { mode: 0o600 });
  const installation = await openInstallation({ directory });
  const bus = await server.start(installation, join(base, 'node'));
  const placeOf = (role: Role) => ({
    directory: roleDirectory(directory, role),
    controlSocket: controlSocket(directory, role),
    log: silentLog,
  });
  const { configurations } = installation;
  const bridge = await startBridge({ ...placeOf('bridge'), configuration: configurations.bridge });
  const local = await startLocalAdapter({
    ...placeOf('local'),
    configuration: configurations.local,
    reader: dropReader,
  });
  const queue = createControlClient({ socketPath: controlSocket(directory, 'local') });
  const programs = new Map<string, RunningCommand>();
  const all: RunningCommand[] = [];
  const hurry = new AbortController();
  const finished = new Set<string>();
  const followed = await follow(queue, finished, hurry.signal);
  const agents: Promise<number>[] = [];

  const directoryOf = (broker: string): string => join(base, broker);

  function begin(broker: string): RunningCommand {
    const program = new RunningCommand(['up', '--role', 'broker', '--data', directoryOf(broker)]);
    all.push(program);
    return program;
  }

  async function run(...args: readonly string[]): Promise<string> {
    const { code, out } = await runCommand([...args, '--data', directory, '--json']);
    if (code !== 0) throw new Error(`co-pilot ${args.join(' ')} ended with ${code}: ${out}`);
    return out;
  }

  async function faultsIn(copy: string, jobs: readonly string[]): Promise<readonly string[]> {
    const ledger = await openPostgresLedger({
      place: { url: postgres.url },
      instance: 'checker',
      clock: nodeClock,
      log: silentLog,
    });
    await ledger.snapshot(copy, () => undefined);
    await ledger.close();
    return [...checkLedger(copy, () => undefined).faults, ...proveFromLedger(copy, jobs).faults];
  }

  return {
    directoryOf,
    busUrl: server.url,
    run,
    begin,
    async add(broker) {
      await run('broker', 'add', broker, '--to', directoryOf(broker));
    },
    async start(broker) {
      const program = begin(broker);
      programs.set(broker, program);
      await program.says('"event":"ready"', READY_MS);
    },
    async kill(broker) {
      const program = programs.get(broker);
      program?.signal('SIGKILL');
      await program?.ended;
    },
    status: (broker) => askBroker(directoryOf(broker), 'GET', '/v1/status'),
    async agent(broker, slots = 1) {
      const own = join(base, `agent-${agents.length}`);
      const body = { owner: 'somebody', site: 'home', seconds: 60 };
      const { code } = await askBroker<{ readonly code: string }>(
        directoryOf(broker),
        'POST',
        '/v1/codes',
        body,
      );
      const ended = runAgent({
        directory: own,
        code,
        slots,
        isolation: 'none',
        drainSeconds: 0,
        json: true,
        logLevel: 'error',
        signal: hurry.signal,
        hurry: hurry.signal,
        write: () => undefined,
      });
      agents.push(ended);
      const identity = async (): Promise<string> =>
        (await eventually('the agent to enrol', () => loadMembership(own), READY_MS)).identity;
      return { id: agentOf(await identity()), identity, ended };
    },
    async connected(broker) {
      const listed = await askBroker<AgentListing>(directoryOf(broker), 'GET', '/v1/agents');
      return listed.agents.filter(({ connected }) => connected).map(({ agent }) => agent);
    },
    async submit(count, script) {
      const jobs = Array.from({ length: count }, (_, at) => ({
        label: `job-${at}`,
        priority: 0,
        retries: 2,
        description: {
          command: 'sh',
          arguments: ['-c', script],
          environment: {},
          inputs: [],
          outputs: [{ name: 'events.dat' }],
          limits: { wallSeconds: 60, memoryMiB: 64, diskMiB: 1 },
          requirements: '',
        },
      }));
      const submission = { key: randomUUID(), queue: 'main', campaign: 'several', owner: 'you', jobs };
      return (await queue.submit(submission)).jobs;
    },
    finished: (jobs) => jobs.filter((job) => finished.has(job)).length,
    faults: (jobs) => faultsIn(join(base, `copy-${randomUUID()}.sqlite`), jobs),
    async close() {
      hurry.abort();
      await Promise.all(agents);
      await followed.end;
      for (const program of all) await program.kill();
      await local.stop();
      await bridge.stop();
      await bus.stop();
      await postgres.stop();
      await removeDirectory(base);
      await removeDirectory(databases);
    },
  };
}

/** Notes which jobs finish from now on. */
async function follow(
  queue: ControlClient,
  finished: Set<string>,
  signal: AbortSignal,
): Promise<{ readonly end: Promise<void> }> {
  const lines = queue.events(undefined, signal);
  await lines.next();
  const note = async (): Promise<void> => {
    for await (const line of lines)
      if (line.kind === 'change' && line.state === 'finished') finished.add(line.job);
  };
  return { end: note() };
}

/** Whose identity it is. */
function agentOf(identity: string): string {
  const claims = JSON.parse(Buffer.from(identity.split('.')[1] ?? '', 'base64url').toString()) as {
    readonly sub: string;
  };
  return claims.sub;
}
