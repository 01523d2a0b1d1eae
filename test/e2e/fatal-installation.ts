import { existsSync } from 'node:fs';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { JobDetail } from '../../adapters/jobs/local/queued-job.ts';
import { loadCampaign } from '../../cli/campaign/load.ts';
import { type ChildProgram, startChild } from '../../cli/child-program.ts';
import { askBroker, connect } from '../../cli/connection.ts';
import { openInstallation, type Role, ROLES, roleDirectory } from '../../cli/installation.ts';
import { type LedgerProof, proveFromLedger } from '../../cli/ledger-proof.ts';
import { submitCampaign } from '../../cli/submit.ts';
import { RunningCommand } from '../doubles/co-pilot-command.ts';
import { eventually, eventuallyTrue } from '../doubles/eventually.ts';
import { removeDirectory, temporaryDirectory } from '../doubles/temporary-directory.ts';
import { writeCampaign } from './campaigns.ts';

/** An installation of real processes with one agent, whose roles kill themselves where they are told. */
export interface FatalInstallation {
  readonly directory: string;
  /** Runs one job; the role kills itself at the point meanwhile and is started again. Resolves with the finished job. */
  runOver(role: Role, point: string): Promise<JobDetail>;
  /** Resolves once the ledger says that the framework knows how each job ended. */
  told(jobs: readonly string[]): Promise<void>;
  /** The file that the job left, checked by its digest. */
  fetch(job: JobDetail): Promise<string>;
  stopRoles(): Promise<void>;
  /** With the roles stopped: what the ledger's file says. */
  prove(jobs: readonly string[]): LedgerProof;
  /** With the roles stopped: the attempts the bridge registered, by job. */
  registered(): ReadonlyMap<string, readonly number[]>;
  remove(): Promise<void>;
}

const PROGRAM = join(import.meta.dirname, 'programs/fatal-role.ts');
const DEADLINE_MS = 60_000;

export async function openFatalInstallation(): Promise<FatalInstallation> {
  const base = await temporaryDirectory('fatal');
  const directory = join(base, 'installation');
  const armed = join(base, 'armed');
  const roles = new Map<Role, ChildProgram>();
  await openInstallation({ directory });
  for (const role of ROLES) await start(role);
  const connection = await connect(directory);
  const campaign = await loadCampaign(
    await writeCampaign(base, {
      name: 'commit',
      script: 'echo "result of $COPILOT_JOB, attempt $COPILOT_ATTEMPT" > result.txt',
      jobs: 1,
      outputs: ['result.txt'],
    }),
  );
  const agent = await startAgent();

  async function start(role: Role): Promise<void> {
    const log = await open(join(roleDirectory(directory, role), 'log'), 'a', 0o600);
    const args = [PROGRAM, directory, role, armed];
    const program = startChild({ name: role, file: process.execPath, args, stderr: log.fd }, () => undefined);
    await log.close();
    roles.set(role, program);
    await program.line((line) => line['event'] === 'ready', DEADLINE_MS);
  }

  async function startAgent(): Promise<RunningCommand> {
    const body = { owner: 'somebody', site: 'here', seconds: 3600 };
    const { code } = await askBroker<{ readonly code: string }>(directory, 'POST', '/v1/codes', body);
    const file = join(base, 'code');
    await writeFile(file, code, { mode: 0o600 });
    const place = ['--directory', join(base, 'agent'), '--code-file', file];
    const started = new RunningCommand(['agent', 'run', ...place, '--isolation', 'none', '--json']);
    await started.says('"phase":"asking"', DEADLINE_MS);
    return started;
  }

  async function isTold(job: string): Promise<boolean> {
    const stored = await askBroker<{ readonly job: { readonly told: boolean } }>(
      directory,
      'GET',
      `/v1/jobs/${job}`,
    );
    return stored.job.told;
  }

  async function told(jobs: readonly string[]): Promise<void> {
    for (const job of jobs)
      await eventuallyTrue('the ledger to note that the framework knows', () => isTold(job), DEADLINE_MS);
  }

  return {
    directory,
    async runOver(role, point) {
      await writeFile(armed, point);
      const { jobs } = await submitCampaign(connection, campaign, 'you');
      const victim = roles.get(role);
      await victim?.exitsWithin(DEADLINE_MS);
      const ended = await victim?.exited;
      if (ended?.signal !== 'SIGKILL' || existsSync(armed))
        throw new Error(`${role} was to be killed ${point}: ${JSON.stringify(ended)}`);
      await start(role);
      const [id = ''] = jobs;
      const finished = await eventually(
        'the job to finish',
        async () => {
          const job = await connection.queue.show(id);
          return job.state === 'finished' ? job : undefined;
        },
        DEADLINE_MS,
      );
      // What the restarted role still owes this job must not be what the next point is reached by.
      await told([id]);
      return finished;
    },
    told,
    async fetch({ job, result }) {
      const [file] = result?.manifest ?? [];
      if (result === undefined || file === undefined) throw new Error(`job ${job} has no file`);
      return connection.results.fetch({ job, attempt: result.attempt }, file, join(base, 'fetched', job));
    },
    async stopRoles() {
      for (const role of ROLES.toReversed()) await roles.get(role)?.stop(DEADLINE_MS);
    },
    prove: (jobs) => proveFromLedger(join(roleDirectory(directory, 'broker'), 'ledger.sqlite'), jobs),
    registered: () => registeredIn(join(roleDirectory(directory, 'bridge'), 'registry.sqlite')),
    async remove() {
      await agent.kill();
      for (const program of roles.values()) await program.stop(1_000);
      await removeDirectory(base);
    },
  };
}

function registeredIn(path: string): ReadonlyMap<string, readonly number[]> {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const rows = database.prepare("SELECT job, attempt FROM attempt WHERE state = 'registered'").all();
    const byJob = Map.groupBy(rows, (row) => String(row['job']));
    return new Map([...byJob].map(([job, found]) => [job, found.map((row) => Number(row['attempt']))]));
  } finally {
    database.close();
  }
}
